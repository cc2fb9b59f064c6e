-- What a reader could not take is held back in the quarantine. Its columns say whose it
-- is themselves, since it comes from the outbox, which knows names only.
ALTER TABLE quarantine ADD COLUMN reader TEXT;
ALTER TABLE quarantine ADD COLUMN source TEXT;
ALTER TABLE quarantine ADD COLUMN tenant TEXT;

-- Tried again, it waits for that reader alone; null is for all.
ALTER TABLE entry ADD COLUMN reader TEXT;
