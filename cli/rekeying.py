"""`rekey`: a store is encrypted, or with another key, or no more."""

from __future__ import annotations

import os

from ..core.errors import InvalidInput
from ..core.settings import store_key, vault_key
from .doctor import store_file
from .failures import DONE
from .terminal import make_console
from .text import plural, print_json

OLD_STORE, OLD_VAULT = "COLLEGIUM_STORE_KEY_OLD", "COLLEGIUM_VAULT_KEY_OLD"


def rekey(*, decrypt: bool, db: str | None, as_json: bool) -> int:
    """Encrypt every record with the key of the environment; the old keys are there too, where there were any."""
    from ..runs.store.rekeying import Keys, rekey

    path = store_file(db)
    new, old = store_key(), os.environ.get(OLD_STORE) or None
    if decrypt:
        old, new = old or new, None
    elif new is None:
        raise InvalidInput("COLLEGIUM_STORE_KEY", "there is no new key. Set it, or write --decrypt.")
    if old is None and decrypt:
        raise InvalidInput(OLD_STORE, "there is no key to decrypt with. Set it.")
    own_vault = os.environ.get("COLLEGIUM_VAULT_KEY") or None
    old_vault = os.environ.get(OLD_VAULT) or own_vault or old or vault_key()
    runs = rekey(path, Keys(old, old_vault), Keys(new, own_vault or new))
    if as_json:
        print_json({"store": str(path), "runs": runs, "encrypted": new is not None})
    else:
        done = "Encrypted" if new is not None else "Decrypted"
        make_console().print(f"{done} {path}: {plural(runs, 'run')}.", soft_wrap=True)
    return DONE
