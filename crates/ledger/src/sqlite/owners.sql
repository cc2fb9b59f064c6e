-- Whose an entry is is a feed's number, and a number stands for one feed for ever: what was
-- still under way for a feed that is forgotten must not be written down as another's.
CREATE TABLE numbered (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source          TEXT NOT NULL,
    tenant          TEXT NOT NULL,
    api             TEXT NOT NULL,
    label           TEXT NOT NULL,
    cursor          INTEGER,
    keys_from       INTEGER,
    fresh           INTEGER NOT NULL DEFAULT 0,
    duplicates      INTEGER NOT NULL DEFAULT 0,
    last_success    INTEGER,
    last_error      TEXT,
    last_error_kind TEXT,
    last_error_at   INTEGER,
    UNIQUE (source, tenant, api)
) STRICT;
INSERT INTO numbered
    SELECT id, source, tenant, api, label, cursor, keys_from, fresh, duplicates, last_success,
        last_error, iif(last_error IS NULL, NULL, 'unknown'), last_error_at
    FROM feed;
DROP TABLE feed;
ALTER TABLE numbered RENAME TO feed;

-- 0: nobody knows any more. Labels are no answer, since two feeds may have had the same one.
ALTER TABLE entry ADD COLUMN feed INTEGER NOT NULL DEFAULT 0;
UPDATE entry SET feed = ifnull(
    (SELECT f.id FROM feed f WHERE f.source = entry.source AND f.label = entry.tenant
     ORDER BY f.last_success DESC LIMIT 1), 0);
CREATE INDEX entry_of_feed ON entry (feed, records);

-- What waits is counted from these alone: a column behind a payload costs reading past it.
DROP INDEX entry_of_source;
DROP INDEX entry_of_tenant;
CREATE INDEX entry_of_source ON entry (source, id, tenant, reader, records, bytes);
CREATE INDEX entry_of_tenant ON entry (tenant, source, id, reader, records, bytes);
