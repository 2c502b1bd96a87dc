-- Which store this is, and the salts of the log that lies beside the file while it is open; NULL once all is in the file.

CREATE TABLE mark (
    store_id TEXT NOT NULL,
    log TEXT
);
INSERT INTO mark VALUES (lower(hex(randomblob(16))), NULL);
