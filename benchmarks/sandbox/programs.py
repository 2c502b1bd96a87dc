"""Programs that try to leave their box, and programs that try to use up the machine."""

from __future__ import annotations

HEAD = """
import ctypes, os, socket, subprocess, sys
OUTSIDE, PORT, HOST = {outside!r}, {port}, {host}
libc = ctypes.CDLL(None, use_errno=True)
def attempt(call):
    try:
        came = call()
    except BaseException as error:
        print("refused:", type(error).__name__, error)
    else:
        print("returned:", came)
    return None
"""
"""What each escape starts with."""

ESCAPES = {
    "read a file": "attempt(lambda: open(OUTSIDE + '/secret.txt').read())",
    "read by the root of process 1": "attempt(lambda: open('/proc/1/root' + OUTSIDE + '/secret.txt').read())",
    "read by the own root": "attempt(lambda: open('/proc/self/root' + OUTSIDE + '/secret.txt').read())",
    "read by many parents": "attempt(lambda: open('../' * 40 + OUTSIDE + '/secret.txt').read())",
    "read through a link": "os.symlink(OUTSIDE, 'way'); attempt(lambda: open('way/secret.txt').read())",
    "hard link": "attempt(lambda: os.link(OUTSIDE + '/secret.txt', 'hard')); attempt(lambda: open('hard').read())",
    "write a file": "attempt(lambda: open(OUTSIDE + '/new.txt', 'w').write('x'))",
    "remove a file": "attempt(lambda: os.unlink(OUTSIDE + '/secret.txt'))",
    "change the interpreter": "attempt(lambda: open(os.__file__, 'a').write('#'))",
    "all subclasses": """
for one in object.__subclasses__():
    made = getattr(one, '__init__', None)
    held = getattr(made, '__globals__', {})
    if 'sys' in held:
        attempt(lambda: held['sys'].modules['os'].popen('cat ' + OUTSIDE + '/secret.txt').read())
        break
""",
    "__import__": "attempt(lambda: __import__('os').popen('cat ' + OUTSIDE + '/secret.txt 2>&1').read())",
    "frame walk": """
frame = sys._getframe()
while frame.f_back:
    frame = frame.f_back
attempt(lambda: frame.f_builtins['open'](OUTSIDE + '/secret.txt').read())
""",
    "ctypes": """
descriptor = libc.open((OUTSIDE + '/secret.txt').encode(), 0)
attempt(lambda: os.read(descriptor, 99))
""",
    "own memory": "attempt(lambda: open('/proc/self/mem', 'r+b').read(1))",
    "memory of the host": "attempt(lambda: open(f'/proc/{HOST}/mem', 'rb').read(1)); attempt(lambda: os.getpgid(HOST))",
    "trace the host": "print('ESCAPED' if libc.ptrace(16, HOST, 0, 0) == 0 else 'refused')",
    "trace the parent": "print('ESCAPED' if libc.ptrace(16, os.getppid(), 0, 0) == 0 else 'refused')",
    "signal everybody": "attempt(lambda: os.kill(HOST, 9)); attempt(lambda: os.kill(-1, 15))",
    "signal the parent": "import signal; attempt(lambda: os.kill(os.getppid(), signal.SIGKILL))",
    "environment": "print(dict(os.environ))",
    "environments of others": """
for name in os.listdir('/proc') if os.path.isdir('/proc/1') else []:
    if name.isdigit():
        attempt(lambda: open(f'/proc/{name}/environ').read())
""",
    "open descriptors": """
for number in range(3, 256):
    try:
        os.lseek(number, 0, 0)
        print(number, os.read(number, 99))
    except OSError:
        pass
""",
    "connect": "attempt(lambda: socket.create_connection(('127.0.0.1', PORT), 2).sendall(b'hello'))",
    "connect by IPv6": "attempt(lambda: socket.create_connection(('::ffff:127.0.0.1', PORT), 2).sendall(b'hello'))",
    "connect by ctypes": """
made = libc.socket(2, 1, 0)
address = (2).to_bytes(2, 'little') + PORT.to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)
print('ESCAPED' if made >= 0 and libc.connect(made, address, 16) == 0 else 'refused')
""",
    "connect by a shell": """
attempt(lambda: subprocess.run(['bash', '-c', f'echo x > /dev/tcp/127.0.0.1/{PORT}']).returncode)
""",
    "datagram": "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT)))",
    "raw packets": "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
    "names": "attempt(lambda: socket.getaddrinfo('example.org', 80))",
    "Unix socket": """
made = socket.socket(socket.AF_UNIX)
attempt(lambda: made.connect(OUTSIDE + '/socket'))
""",
    "abstract Unix socket": "attempt(lambda: socket.socket(socket.AF_UNIX).connect(f'\\0collegium-{PORT}'))",
    "mount": "print('ESCAPED' if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 else 'refused')",
    "namespaces of its own": "print('ESCAPED' if libc.unshare(0x10000000 | 0x20000) == 0 else 'refused')",
    "chroot": "attempt(lambda: os.chroot('.'))",
    "device": "attempt(lambda: os.mknod('disk', 0o60666, os.makedev(8, 0)) or open('disk', 'rb').read(1))",
    "user 0": "attempt(lambda: os.setuid(0))",
    "kernel settings": "attempt(lambda: open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x'))",
    "memory without a process": "attempt(lambda: os.memfd_create('x'))",
    "old calls": "print('ESCAPED' if libc.syscall(ctypes.c_long(0x40000000 + 41), 2, 1, 0) >= 0 else 'refused')",
    "set-user-id": """
attempt(lambda: subprocess.run(['su', '-c', 'id'], stdin=subprocess.DEVNULL).returncode or 'ESCAPED')
""",
}
"""What must not reach the canary or the listener, and never prints ESCAPED."""

USES = {
    "endless loop": "while True: pass",
    "loop that ignores the signal": "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    "loops side by side": "import os\nfor _ in range(3): os.fork()\nwhile True: pass",
    "8 GB": "held = bytearray(8 << 30)",
    "8 GB bit by bit": "held = []\nwhile True: held.append(b'x' * (8 << 20))",
    "memory in many processes": """
import os, time
for _ in range(10):
    if os.fork() == 0:
        held = b'x' * (200 << 20)
        time.sleep(60)
time.sleep(60)
""",
    "shared memory": """
import mmap, os, time
for _ in range(10):
    if os.fork() == 0:
        held = mmap.mmap(-1, 200 << 20)
        for _ in range(200): held.write(b'x' * (1 << 20))
        time.sleep(60)
time.sleep(60)
""",
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fork bomb in sessions of its own": """
import os
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
""",
    "a million threads": """
import threading, time
made = 0
try:
    for made in range(1_000_000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError as error:
    print(made, error, flush=True)
import os; os._exit(1)
""",
    "a million files": """
made = 0
try:
    for made in range(1_000_000): open(f'file-{made}', 'w').close()
except OSError as error:
    print(made, error)
    raise SystemExit(1)
""",
    "full disk": """
try:
    for made in range(1_000):
        with open(f'file-{made}', 'wb') as file: file.write(b'x' * (10 << 20))
except OSError as error:
    print(made, error)
    raise SystemExit(1)
""",
    "one long file": """
try:
    with open('file', 'wb') as file:
        for made in range(1_000): file.write(b'x' * (1 << 20))
except OSError as error:
    print(made, error)
    raise SystemExit(1)
""",
    "1 GB printed": "import sys\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))",
    "1 GB of errors": "import sys\nfor _ in range(1024): sys.stderr.write('x' * (1 << 20))",
    "sleep without signals": """
import signal, time
for one in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(one, signal.SIG_IGN)
while True: time.sleep(60)
""",
    "child left behind": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (0, 1, 2): os.close(number)
        time.sleep(60)
    os._exit(0)
""",
    "child left behind that holds the output": "import os, time\nif os.fork() == 0: time.sleep(60)",
    "zombies": """
import os, time
for _ in range(40):
    if os.fork() == 0: os._exit(0)
time.sleep(0.2)
""",
    "stopped by itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
}
"""What must end by a limit or by itself, and leave no process."""
