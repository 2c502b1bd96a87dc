-- Runs, what they asked and did, who works on them, and their checkpoints.
-- Times are ISO 8601 in UTC with microseconds, so they sort as text. `checksum` is the CRC of a row's other values.

CREATE TABLE run (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    thread_id TEXT NOT NULL,
    graph TEXT NOT NULL,
    version TEXT NOT NULL,
    target TEXT,
    folder TEXT,
    fingerprint TEXT NOT NULL,
    shape TEXT NOT NULL,
    input BLOB NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'queued', 'running', 'waiting', 'done', 'failed', 'cancelled')),
    epoch INTEGER NOT NULL,
    owner TEXT,
    error TEXT,
    model_spec TEXT,
    model TEXT,
    usage TEXT NOT NULL,
    metadata TEXT NOT NULL,
    budget TEXT,
    fork INTEGER NOT NULL,
    parent_run_id TEXT,
    after_run_id TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    finished_at TEXT,
    links INTEGER NOT NULL,
    chain TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
-- The lease on a thread: one unfinished run. A pending run waits for its turn.
CREATE UNIQUE INDEX run_thread_unfinished ON run (thread_id) WHERE status IN ('queued', 'running', 'waiting');
CREATE INDEX run_thread ON run (thread_id, seq);
CREATE INDEX run_status ON run (status, seq);
CREATE INDEX run_graph ON run (graph, seq);

CREATE TABLE approval (
    approval_id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    interrupt_id TEXT NOT NULL,
    interrupt_index INTEGER NOT NULL,
    question_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    allowed TEXT NOT NULL,
    schema TEXT,
    digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'decided', 'expired', 'cancelled')),
    created_at TEXT NOT NULL,
    expires_at TEXT,
    decision TEXT,
    decided_by TEXT,
    decided_at TEXT,
    link INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE UNIQUE INDEX approval_question ON approval (run_id, interrupt_id, question_key, digest)
    WHERE state != 'cancelled';
CREATE INDEX approval_run ON approval (run_id, link);
CREATE INDEX approval_inbox ON approval (created_at, approval_id) WHERE state = 'pending';
CREATE INDEX approval_due ON approval (expires_at) WHERE state = 'pending' AND expires_at IS NOT NULL;

CREATE TABLE effect (
    key TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    digest TEXT NOT NULL,
    args TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'in_doubt', 'failed', 'abandoned')),
    result TEXT,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    link INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE INDEX effect_run ON effect (run_id, link);

CREATE TABLE event (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    node TEXT,
    data TEXT NOT NULL,
    at TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

CREATE TABLE worker (
    worker_id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_started TEXT,
    beat_at TEXT NOT NULL,
    graphs TEXT NOT NULL,
    serving INTEGER NOT NULL
);

CREATE TABLE checkpoint (
    thread_id TEXT NOT NULL,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    parent_id TEXT,
    run_id TEXT,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (thread_id, ns, checkpoint_id)
) WITHOUT ROWID;

-- One tree a table and no other index below: each tree that a commit touches costs it a page.
-- One row per value that a channel ever had, but for the small ones that lie in the checkpoint: `version` is an integer (or text, from a foreign saver).
CREATE TABLE blob (
    thread_id TEXT NOT NULL,
    ns TEXT NOT NULL,
    channel TEXT NOT NULL,
    version NOT NULL,
    type TEXT NOT NULL,
    data BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (thread_id, ns, channel, version)
) WITHOUT ROWID;

CREATE TABLE pending_write (
    thread_id TEXT NOT NULL,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    task_path TEXT NOT NULL,
    channel TEXT NOT NULL,
    type TEXT NOT NULL,
    data BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (thread_id, ns, checkpoint_id, task_id, idx)
) WITHOUT ROWID;
