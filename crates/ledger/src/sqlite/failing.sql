-- What goes wrong with a reader, or with the part of it that is a tenant ('': all of it),
-- until it goes well again. Written when it begins and when it ends.
CREATE TABLE failing (
    reader TEXT NOT NULL,
    tenant TEXT NOT NULL,
    since  INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    words  TEXT NOT NULL,
    PRIMARY KEY (reader, tenant)
) STRICT, WITHOUT ROWID;
