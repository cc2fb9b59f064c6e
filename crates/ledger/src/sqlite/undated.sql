-- Keys of records without a date, which lie in no window that could be forgotten: until when
-- each was found, by the service's clock.
CREATE TABLE undated (
    feed     INTEGER NOT NULL,
    identity BLOB NOT NULL,
    seen     INTEGER NOT NULL,
    PRIMARY KEY (feed, identity)
) STRICT, WITHOUT ROWID;
INSERT INTO undated (feed, identity, seen)
    SELECT key.feed, key.identity, ifnull(feed.cursor, 0) FROM key JOIN feed ON feed.id = key.feed
    WHERE key.time = 9223372036854775807;
DELETE FROM key WHERE time = 9223372036854775807;
