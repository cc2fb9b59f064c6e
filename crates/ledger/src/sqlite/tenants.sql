-- Many tenants behind one source, and readers that take each tenant by itself.

-- What a tenant is called downstream: the same tenant keeps its cursor under a new name.
ALTER TABLE feed ADD COLUMN label TEXT NOT NULL DEFAULT '';
UPDATE feed SET label = tenant;

ALTER TABLE entry ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
UPDATE entry SET tenant = ifnull(
    (SELECT f.tenant FROM feed f WHERE f.source = entry.source ORDER BY f.last_success DESC LIMIT 1), '');
CREATE INDEX entry_of_tenant ON entry (tenant, source, id, records, bytes);

-- How far a reader has got with one tenant, beyond what it has of all.
CREATE TABLE part (
    reader       TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    state        BLOB,
    PRIMARY KEY (reader, tenant)
) STRICT, WITHOUT ROWID;
