"""Values that stand behind placeholders, encrypted, until the run that needs them is settled.

Plain functions of a connection; call them inside `Store.write` or `Store.read`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ...core.errors import StoreKeyError
from .codec import checksum, verify
from .sealing import vault_cipher

_PUT = "INSERT OR REPLACE INTO vault VALUES (?, ?, ?, ?)"


def put(conn: sqlite3.Connection, key: str, name: str, run_id: str, values: Mapping[str, str]) -> None:
    """Keep values of a run under their placeholders; `name` is the store's, for messages.

    Raises:
        StoreKeyError: The vault holds values under another key, or the key is none.
    """
    cipher = vault_cipher(conn, key, name)
    for placeholder, value in values.items():
        data = cipher.seal(value.encode("utf-8", "surrogatepass"), "vault", run_id, placeholder)
        conn.execute(_PUT, (run_id, placeholder, data, checksum(run_id, placeholder, data)))


def of_run(conn: sqlite3.Connection, key: str | None, name: str, run_id: str) -> dict[str, str]:
    """The values of a run by placeholder.

    Raises:
        StoreKeyError: There are some, and the key is missing or another.
        CorruptState: A record is damaged.
    """
    found = conn.execute("SELECT placeholder, data, checksum FROM vault WHERE run_id=?", (run_id,)).fetchall()
    if not found:
        return {}
    if key is None:
        raise StoreKeyError(name, "values of the run wait in its vault. Put its key into COLLEGIUM_VAULT_KEY.")
    cipher = vault_cipher(conn, key, name)
    values: dict[str, str] = {}
    for placeholder, data, seal in found:
        verify(seal, run_id, placeholder, data, what=f"value {placeholder} of run {run_id}")
        values[placeholder] = cipher.open(data, "vault", run_id, placeholder).decode("utf-8", "surrogatepass")
    return values


def opened(conn: sqlite3.Connection, key: str | None, name: str) -> dict[str, dict[str, str]]:
    """All values, by run."""
    run_ids = [run_id for (run_id,) in conn.execute("SELECT DISTINCT run_id FROM vault").fetchall()]
    return {run_id: of_run(conn, key, name, run_id) for run_id in run_ids}


def drop(conn: sqlite3.Connection, run_id: str) -> None:
    """Forget the values of a run; their bytes in the file are written over."""
    if conn.execute("SELECT 1 FROM vault WHERE run_id=? LIMIT 1", (run_id,)).fetchone():
        (before,) = conn.execute("PRAGMA secure_delete").fetchone()
        conn.execute("PRAGMA secure_delete=ON").fetchone()
        conn.execute("DELETE FROM vault WHERE run_id=?", (run_id,))
        conn.execute(f"PRAGMA secure_delete={before}").fetchone()
