-- With which keys the store is encrypted, where it is, and values that stand behind placeholders until a run is settled.

CREATE TABLE cipher (
    purpose TEXT NOT NULL PRIMARY KEY CHECK (purpose IN ('store', 'vault')),
    salt BLOB NOT NULL,
    key_id TEXT NOT NULL
) WITHOUT ROWID;

-- `data` is always encrypted, whether the rest of the store is or not.
CREATE TABLE vault (
    run_id TEXT NOT NULL,
    placeholder TEXT NOT NULL,
    data BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, placeholder)
) WITHOUT ROWID;
