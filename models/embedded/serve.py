"""The embedded server: `python -m collegium.models.embedded.serve MODEL.gguf`.

It runs llama.cpp's own HTTP server on a free loopback port, in a process of its own because a fault in
native code must not take a run along. The first line of standard input is its key; the first line of
standard output says where it listens; it ends when standard input closes, that is, with its parent.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import socket
import sys
from typing import Any


def main() -> None:
    """Serve until standard input closes."""
    options = _options()
    key = sys.stdin.readline().strip()
    server = _start(options, key)  # held: it stops serving when it is collected
    print(json.dumps({"address": server.listening_address}), flush=True)
    while sys.stdin.readline():
        pass
    os._exit(0)  # threads of the native server are not joined


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--alias", required=True, help="what the server calls the model")
    parser.add_argument("--context", type=int, default=4096, help="tokens of one slot")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument(
        "--threads",
        type=int,
        default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    )
    return parser.parse_args()


def _start(options: argparse.Namespace, key: str) -> Any:
    native: Any = importlib.import_module("xllamacpp")  # an extra, without types
    params = native.CommonParams()
    params.model.path = options.path
    params.model_alias = {options.alias}
    params.n_ctx = options.context * options.slots
    params.n_parallel = options.slots
    params.hostnames = ["127.0.0.1"]
    params.port = _free_port()
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.use_jinja = True
    params.warmup = False
    params.verbosity = 0
    if key:
        params.api_keys = [key]
    return native.Server(params)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
