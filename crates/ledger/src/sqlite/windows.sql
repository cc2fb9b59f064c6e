-- The same element in two windows is two elements: it is known by its bytes and its window.
-- Their digest was that of its bytes alone already, so it stays. found_to is the end of the
-- window in which it was found first.
CREATE TABLE kept (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    feed      INTEGER NOT NULL,
    is_gap    INTEGER NOT NULL,
    from_time INTEGER NOT NULL,
    to_time   INTEGER NOT NULL,
    found_to  INTEGER NOT NULL,
    digest    BLOB NOT NULL,
    reason    TEXT NOT NULL,
    raw_bytes INTEGER NOT NULL,
    body      BLOB NOT NULL,
    found_at  INTEGER NOT NULL,
    tried_at  INTEGER,
    tries     INTEGER NOT NULL DEFAULT 0,
    reader    TEXT,
    source    TEXT,
    tenant    TEXT,
    UNIQUE (feed, digest, from_time, to_time)
) STRICT;
INSERT INTO kept
    SELECT id, feed, is_gap, from_time, to_time, to_time, digest, reason, raw_bytes, body, found_at,
        tried_at, tries, reader, source, tenant
    FROM quarantine;
-- A number that was given is not given again.
DELETE FROM sqlite_sequence WHERE name = 'kept';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'kept', seq FROM sqlite_sequence WHERE name = 'quarantine';
DROP TABLE quarantine;
ALTER TABLE kept RENAME TO quarantine;
