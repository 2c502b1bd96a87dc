"""Settings from the environment, read when asked for and never at import."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_DB = Path(".collegium") / "collegium.db"


def model_spec() -> str:
    """The model of `COLLEGIUM_MODEL`, else `embedded`."""
    return os.environ.get("COLLEGIUM_MODEL") or "embedded"


def database_url(given: str | None = None, start: Path | None = None) -> str:
    """The store: the one given, else `COLLEGIUM_DB`, else `.collegium/collegium.db` found upward.

    A plain path is taken for a SQLite file. Where no `.collegium` folder exists above `start`
    (default: the working directory), the store is placed there.
    """
    chosen = given or os.environ.get("COLLEGIUM_DB")
    if chosen:
        return chosen if "://" in chosen else f"sqlite:///{chosen}"
    return f"sqlite:///{project_home(start) / DEFAULT_DB.name}"


def store_key() -> str | None:
    """The key of an encrypted store: `COLLEGIUM_STORE_KEY`; None for stores that are not."""
    return os.environ.get("COLLEGIUM_STORE_KEY") or None


def vault_key() -> str | None:
    """The key of redacted values that wait in a store: `COLLEGIUM_VAULT_KEY`, else that of the store."""
    return os.environ.get("COLLEGIUM_VAULT_KEY") or store_key()


def policy_file() -> Path | None:
    """The policy that the command line puts over those of graphs: `COLLEGIUM_POLICY`; None for none."""
    given = os.environ.get("COLLEGIUM_POLICY")
    return Path(given) if given else None


def data_folder() -> Path | None:
    """Where collections to measure with lie: `COLLEGIUM_DATA`; None for nowhere."""
    given = os.environ.get("COLLEGIUM_DATA")
    return Path(given) if given else None


def project_home(start: Path | None = None) -> Path:
    """The nearest `.collegium` folder at or above `start`, else the one to be made in `start`."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / ".collegium").is_dir():
            return folder / ".collegium"
    return here / ".collegium"


def response_cache() -> Path | None:
    """Where answers of models are kept while one develops: `COLLEGIUM_RESPONSE_CACHE`; None for nowhere."""
    given = os.environ.get("COLLEGIUM_RESPONSE_CACHE")
    return Path(given) if given else None


def cache_home() -> Path:
    """Where model weights lie: `COLLEGIUM_CACHE`, else `collegium` in the user's cache folder (XDG)."""
    if given := os.environ.get("COLLEGIUM_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "collegium"
