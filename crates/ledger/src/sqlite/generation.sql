-- Counts how often a feed's cursor was moved by hand: what was read before is not written
-- down after.
ALTER TABLE feed ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
