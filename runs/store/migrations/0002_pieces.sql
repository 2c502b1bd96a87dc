-- Large values of a thread in pieces, named by their content: what two values share is stored once.
-- A table with row ids, as two pieces are made to fill a page.
CREATE TABLE piece (
    thread_id TEXT NOT NULL,
    name BLOB NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (thread_id, name)
);
