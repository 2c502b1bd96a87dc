-- What runs are found by, where a fork left its parent, limits of time, and what a run at rest must still have.
-- `checksum` is the function that seals records: rows that were whole are sealed anew, damaged ones stay damaged.

ALTER TABLE run ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE run ADD COLUMN forked_at TEXT;
ALTER TABLE run ADD COLUMN parent_checkpoint_id TEXT;
ALTER TABLE run ADD COLUMN reuse TEXT;
ALTER TABLE run ADD COLUMN timeout_s REAL;
ALTER TABLE run ADD COLUMN worked_s REAL NOT NULL DEFAULT 0.0;
ALTER TABLE run ADD COLUMN tip TEXT;
ALTER TABLE run ADD COLUMN pruned_at TEXT;
UPDATE run SET checksum = checksum(run_id, thread_id, graph, version, fingerprint, input, created_at, updated_at, shape,
        target, folder, status, epoch, owner, error, model_spec, model, usage, metadata, budget, fork, parent_run_id,
        after_run_id, finished_at, links, chain,
        tags, forked_at, parent_checkpoint_id, reuse, timeout_s, worked_s, tip, pruned_at)
    WHERE checksum = checksum(run_id, thread_id, graph, version, fingerprint, input, created_at, updated_at, shape,
        target, folder, status, epoch, owner, error, model_spec, model, usage, metadata, budget, fork, parent_run_id,
        after_run_id, finished_at, links, chain);

ALTER TABLE effect ADD COLUMN source TEXT;
UPDATE effect SET checksum = checksum(key, run_id, tool, digest, args, epoch, created_at, updated_at, state, result,
        attempt, link, source)
    WHERE checksum = checksum(key, run_id, tool, digest, args, epoch, created_at, updated_at, state, result,
        attempt, link);

-- Tags stand under an empty name; of the metadata, text, numbers and truth values, as JSON.
CREATE TABLE run_label (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, value, seq)
) WITHOUT ROWID;
CREATE INDEX run_label_seq ON run_label (seq);
INSERT INTO run_label
    SELECT field.key, CASE field.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE json_quote(field.value) END,
        run.seq
    FROM run, json_each(run.metadata) AS field
    WHERE json_valid(run.metadata) AND field.type IN ('true', 'false', 'text', 'integer', 'real');
