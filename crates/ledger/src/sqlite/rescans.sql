-- When a feed was last read further back: a process that ends between polls must not begin
-- to count anew.
ALTER TABLE feed ADD COLUMN rescanned INTEGER;
