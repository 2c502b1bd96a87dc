"""Encryption of what a store holds: one key from outside, and from it the keys of one file.

AES-256-GCM-SIV (RFC 8452): a nonce that is drawn twice, by chance or by a copied machine, shows that two values are
equal and nothing more, so a key does not wear out with the number of values. Each value is bound to the place where
it stands, so that it cannot be put in another's. Ids, names, states, times, counts and sizes stay readable: by them
records are found, counted and checked.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, cast

from ...core.errors import CorruptState, MissingExtra, StoreKeyError
from .codec import SqlValue

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

Purpose = Literal["store", "vault"]

ENVIRONMENT: Mapping[Purpose, str] = {"store": "COLLEGIUM_STORE_KEY", "vault": "COLLEGIUM_VAULT_KEY"}

KEY_SIZE = 32
"""Bytes of a key."""

_NONCE = 12

OVERHEAD = _NONCE + 16
"""Bytes that a value grows by: the nonce and the tag."""

_SAME = bytes(_NONCE)
"""Nonce of values that must be found again: equal ones are stored alike, and nothing else is shown (RFC 8452)."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that are encrypted."""

    key: tuple[str, ...]
    """Columns that name a row."""
    texts: frozenset[str]
    contents: frozenset[str] = frozenset()
    """Columns of bytes."""
    found_by: frozenset[str] = frozenset()
    """Texts that are compared in the store."""


TABLES: Mapping[str, Columns] = {
    "run": Columns(
        ("run_id",), frozenset({"error", "metadata", "tags", "chain", "target", "folder"}), frozenset({"input"})
    ),
    "approval": Columns(
        ("approval_id",),
        frozenset({"payload", "schema", "decision", "decided_by"}),
        found_by=frozenset({"digest"}),
    ),
    "effect": Columns(("key",), frozenset({"args", "result"}), found_by=frozenset({"digest"})),
    "event": Columns(("run_id", "seq"), frozenset({"data"})),
}
"""Rows that are kept by column; what checkpoints consist of is encrypted where it is written."""


class Cipher:
    """Encrypts the values of one store file."""

    def __init__(self, key: bytes, salt: bytes, purpose: Purpose) -> None:
        self._box, self._name_key, self.key_id = _derived(key, salt, purpose)
        self.salt = salt

    def seal(self, value: bytes, *place: object) -> bytes:
        """A value as it is stored at a place."""
        nonce = os.urandom(_NONCE)
        return nonce + self._box.encrypt(nonce, value, repr(place).encode())

    def open(self, stored: object, *place: object) -> bytes:
        """The value that was stored at a place.

        Raises:
            CorruptState: It is not what was stored there.
        """
        if not isinstance(stored, bytes) or len(stored) < OVERHEAD:
            raise _misplaced(place)
        return self._opened(stored[:_NONCE], stored[_NONCE:], place)

    def seal_same(self, text: str, *place: object) -> bytes:
        """A text as it is stored wherever it stands in a column, always the same."""
        return self._box.encrypt(_SAME, _to_bytes(text), repr(place).encode())

    def open_same(self, stored: object, *place: object) -> str:
        """The text of `seal_same`.

        Raises:
            CorruptState: It is not what was stored there.
        """
        if not isinstance(stored, bytes) or len(stored) < OVERHEAD - _NONCE:
            raise _misplaced(place)
        return _to_text(self._opened(_SAME, stored, place))

    def name(self, content: bytes, size: int) -> bytes:
        """A name by which content is found, and which tells nobody else what it is."""
        return blake2b(content, digest_size=size, key=self._name_key).digest()

    def _opened(self, nonce: bytes, stored: bytes, place: tuple[object, ...]) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._box.decrypt(nonce, stored, repr(place).encode())
        except InvalidTag:
            raise _misplaced(place) from None


def cipher_of(conn: sqlite3.Connection) -> Cipher | None:
    """What encrypts the store of a connection; None where it is kept as it is."""
    return getattr(conn, "cipher", None)


def is_encrypted(conn: sqlite3.Connection) -> bool:
    """Whether the store of a connection says that it is encrypted."""
    return _kept(conn, "store") is not None


def unlock(conn: sqlite3.Connection, key: str | None, name: str) -> Cipher | None:
    """The cipher of an open store; None for one that is not encrypted.

    Raises:
        StoreKeyError: The store is encrypted and the key is missing or another; or it is not, and there is a key.
        MissingExtra: The package that encrypts is not installed.
    """
    kept = _kept(conn, "store")
    if kept is None:
        if key is not None:
            raise StoreKeyError(
                name,
                "it is not encrypted, and there is a key for it. Encrypt it with `collegium rekey`, or take"
                " COLLEGIUM_STORE_KEY away.",
            )
        return None
    if key is None:
        raise StoreKeyError(name, "it is encrypted. Put its key into COLLEGIUM_STORE_KEY.")
    return _right(key, kept, "store", name)


def lock(conn: sqlite3.Connection, key: str | None, purpose: Purpose, name: str) -> Cipher | None:
    """Let a store, from this transaction on, be encrypted with a key, or with none; nothing is changed in its rows."""
    conn.execute("DELETE FROM cipher WHERE purpose=?", (purpose,))
    if key is None:
        return None
    made = Cipher(key_bytes(key, name, purpose), os.urandom(16), purpose)
    conn.execute("INSERT INTO cipher VALUES (?, ?, ?)", (purpose, made.salt, made.key_id))
    return made


def vault_cipher(conn: sqlite3.Connection, key: str, name: str) -> Cipher:
    """What encrypts the vault; made at its first use, in a write transaction.

    Raises:
        StoreKeyError: The vault was begun with another key and still holds values.
    """
    kept = _kept(conn, "vault")
    if kept is not None:
        try:
            return _right(key, kept, "vault", name)
        except StoreKeyError:
            if conn.execute("SELECT 1 FROM vault LIMIT 1").fetchone():
                raise
    made = lock(conn, key, "vault", name)
    assert made is not None
    return made


def key_bytes(key: str, name: str, purpose: Purpose = "store") -> bytes:
    """The key that a text stands for: 32 bytes in base64, or 64 hex digits.

    Raises:
        StoreKeyError: It is something else.
    """
    text = key.strip()
    try:
        made = bytes.fromhex(text) if len(text) == 2 * KEY_SIZE else _from_base64(text)
    except (ValueError, binascii.Error):
        made = b""
    if len(made) != KEY_SIZE:
        raise StoreKeyError(
            name,
            f"{ENVIRONMENT[purpose]} holds no key: it must be 32 random bytes in base64. Make one with"
            ' `python -c "import secrets; print(secrets.token_urlsafe(32))"`.',
        )
    return made


def hidden(
    conn: sqlite3.Connection, table: str, names: tuple[str, ...], values: Sequence[SqlValue]
) -> tuple[SqlValue, ...]:
    """The values of a row as this store keeps them."""
    cipher = cipher_of(conn)
    if cipher is None:
        return tuple(values)
    key, plan = _plan(table, names)
    at = tuple(values[place] for place in key)
    kept = list(values)
    for place, name, form in plan:
        if kept[place] is not None:
            kept[place] = _hide(cipher, kept[place], form, table, name, at)
    return tuple(kept)


def hidden_value(conn: sqlite3.Connection, table: str, name: str, value: SqlValue, *at: SqlValue) -> SqlValue:
    """One value of a row as this store keeps it; `at` is the row's key."""
    cipher, form = cipher_of(conn), _form(TABLES[table], name)
    if cipher is None or form is None or value is None:
        return value
    return _hide(cipher, value, form, table, name, at)


def hidden_at(conn: sqlite3.Connection, content: bytes, *place: object) -> bytes:
    """Bytes as this store keeps them at a place."""
    cipher = cipher_of(conn)
    return content if cipher is None else cipher.seal(content, *place)


def shown_at(conn: sqlite3.Connection, stored: bytes, *place: object) -> bytes:
    """The bytes that this store keeps at a place.

    Raises:
        CorruptState: They are not what was stored there.
    """
    cipher = cipher_of(conn)
    return stored if cipher is None else cipher.open(stored, *place)


def shown(conn: sqlite3.Connection, table: str, names: tuple[str, ...], values: Sequence[Any]) -> list[Any]:
    """The values of a row that this store keeps.

    Raises:
        CorruptState: A value is not what was stored there.
    """
    given = list(values)
    cipher = cipher_of(conn)
    if cipher is None:
        return given
    key, plan = _plan(table, names)
    at = tuple(given[place] for place in key)
    for place, name, form in plan:
        if given[place] is not None:
            given[place] = _show(cipher, given[place], form, table, name, at)
    return given


_Form = Literal["text", "bytes", "same"]


def _hide(cipher: Cipher, value: SqlValue, form: _Form, table: str, name: str, at: tuple[Any, ...]) -> bytes:
    if form == "same":
        return cipher.seal_same(cast(str, value), table, name)
    content = _to_bytes(cast(str, value)) if form == "text" else cast(bytes, value)
    return cipher.seal(content, table, name, *at)


def _show(cipher: Cipher, stored: Any, form: _Form, table: str, name: str, at: tuple[Any, ...]) -> str | bytes:
    if form == "same":
        return cipher.open_same(stored, table, name)
    content = cipher.open(stored, table, name, *at)
    return _to_text(content) if form == "text" else content


def _form(columns: Columns, name: str) -> _Form | None:
    if name in columns.found_by:
        return "same"
    if name in columns.contents:
        return "bytes"
    return "text" if name in columns.texts else None


@cache
def _plan(table: str, names: tuple[str, ...]) -> tuple[tuple[int, ...], list[tuple[int, str, _Form]]]:
    """Where a row's key is, and which of its values are encrypted, and how."""
    columns = TABLES[table]
    plan: list[tuple[int, str, _Form]] = []
    for place, name in enumerate(names):
        if (form := _form(columns, name)) is not None:
            plan.append((place, name, form))
    return tuple(names.index(name) for name in columns.key), plan


def _kept(conn: sqlite3.Connection, purpose: Purpose) -> tuple[bytes, str] | None:
    found: tuple[bytes, str] | None = None
    if conn.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='cipher'").fetchone():
        found = conn.execute("SELECT salt, key_id FROM cipher WHERE purpose=?", (purpose,)).fetchone()
    return found  # a store of an older schema is not encrypted


def _right(key: str, kept: tuple[bytes, str], purpose: Purpose, name: str) -> Cipher:
    salt, key_id = kept
    cipher = Cipher(key_bytes(key, name, purpose), bytes(salt), purpose)
    if not hmac.compare_digest(cipher.key_id.encode(), str(key_id).encode()):
        what = "it" if purpose == "store" else "its vault"
        raise StoreKeyError(name, f"{what} was encrypted with another key than the one in {ENVIRONMENT[purpose]}.")
    return cipher


def _derived(key: bytes, salt: bytes, purpose: Purpose) -> tuple[AESGCMSIV, bytes, str]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise MissingExtra("Encryption", "encryption") from error
    info = f"collegium store 1 {purpose}".encode()
    made = HKDF(SHA256(), 80, salt, info).derive(key)
    return AESGCMSIV(made[:32]), made[32:64], made[64:].hex()


def _from_base64(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _to_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _misplaced(place: tuple[object, ...]) -> CorruptState:
    what = " ".join(str(part) for part in place)
    return CorruptState(what, "the encrypted bytes are not what was stored there. Restore the store from a copy.")
