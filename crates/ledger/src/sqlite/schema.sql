CREATE TABLE feed (
    id            INTEGER PRIMARY KEY,
    source        TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    api           TEXT NOT NULL,
    cursor        INTEGER,
    keys_from     INTEGER,
    fresh         INTEGER NOT NULL DEFAULT 0,
    duplicates    INTEGER NOT NULL DEFAULT 0,
    last_success  INTEGER,
    last_error    TEXT,
    last_error_at INTEGER,
    UNIQUE (source, tenant, api)
) STRICT;

-- What was read: the first 16 bytes of the identity's SHA-256.
CREATE TABLE key (
    feed     INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    identity BLOB NOT NULL,
    PRIMARY KEY (feed, time, identity)
) STRICT, WITHOUT ROWID;

-- What was read, merged: other jobs than the ordinary one ('') read again what was read.
CREATE TABLE covered (
    feed      INTEGER NOT NULL,
    job       TEXT NOT NULL,
    from_time INTEGER NOT NULL,
    to_time   INTEGER NOT NULL,
    PRIMARY KEY (feed, job, from_time)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    source    TEXT NOT NULL,
    records   INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    payload   BLOB NOT NULL
) STRICT;

-- What a backlog is counted from, without touching payloads.
CREATE INDEX entry_of_source ON entry (source, id, records, bytes);

CREATE TABLE reader (
    name         TEXT PRIMARY KEY,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    state        BLOB
) STRICT;

CREATE TABLE takes (
    reader TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (reader, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    feed      INTEGER NOT NULL,
    is_gap    INTEGER NOT NULL,
    from_time INTEGER NOT NULL,
    to_time   INTEGER NOT NULL,
    digest    BLOB NOT NULL,
    reason    TEXT NOT NULL,
    raw_bytes INTEGER NOT NULL,
    body      BLOB NOT NULL,
    found_at  INTEGER NOT NULL,
    tried_at  INTEGER,
    tries     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (feed, digest)
) STRICT;
