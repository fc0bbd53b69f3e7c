-- The SQLite store, one file a ledger. Read by ledger/store/sqlite.py, statement by statement.
-- `rowid` is position + 1, declared so that VACUUM can't renumber it and the recorder library finds it by name.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    recorded TEXT NOT NULL,
    epoch INTEGER NOT NULL
);

-- Streams, members, types and sources by number: numbers keep the indexes narrow, and those of new streams in order.
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE entries (
    rowid INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type INTEGER NOT NULL,
    member INTEGER,
    member_version INTEGER,
    entry BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_by_stream ON entries (stream, version);
CREATE UNIQUE INDEX entries_by_member ON entries (member, member_version) WHERE member IS NOT NULL;
CREATE INDEX entries_by_type ON entries (type);

CREATE TABLE ids (source INTEGER, id TEXT, position INTEGER NOT NULL, PRIMARY KEY (source, id)) WITHOUT ROWID;

CREATE TABLE disclosures (rowid INTEGER PRIMARY KEY, sealed BLOB NOT NULL);

-- The member of an event about nobody is 0, which is no name's number.
CREATE TABLE data_keys (
    stream INTEGER, member INTEGER, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (stream, member)
) WITHOUT ROWID;

CREATE TABLE tiles (level INTEGER, number INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (level, number));

CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL);

-- The recorder library reads its own column names.
CREATE VIEW stored_events AS
    SELECT entries.rowid AS rowid, streams.name AS originator_id, version AS originator_version,
        types.name AS topic, entry AS state
    FROM entries
    JOIN names AS streams ON streams.number = entries.stream
    JOIN names AS types ON types.number = entries.type;

CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are immutable'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are immutable'); END;
CREATE TRIGGER names_stay BEFORE UPDATE ON names
    BEGIN SELECT RAISE(ABORT, 'names are immutable'); END;
CREATE TRIGGER names_remain BEFORE DELETE ON names
    BEGIN SELECT RAISE(ABORT, 'names are immutable'); END;
CREATE TRIGGER ids_stay BEFORE UPDATE ON ids
    BEGIN SELECT RAISE(ABORT, 'ids are immutable'); END;
CREATE TRIGGER ids_remain BEFORE DELETE ON ids
    BEGIN SELECT RAISE(ABORT, 'ids are immutable'); END;
CREATE TRIGGER disclosures_stay BEFORE UPDATE ON disclosures
    BEGIN SELECT RAISE(ABORT, 'disclosures are kept or deleted, never changed'); END;
CREATE TRIGGER tiles_grow BEFORE UPDATE ON tiles
    WHEN NEW.level <> OLD.level OR NEW.number <> OLD.number
        OR substr(NEW.hashes, 1, length(OLD.hashes)) <> OLD.hashes
    BEGIN SELECT RAISE(ABORT, 'a tile only grows'); END;
CREATE TRIGGER tiles_remain BEFORE DELETE ON tiles
    BEGIN SELECT RAISE(ABORT, 'a tile only grows'); END;
CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints
    BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable'); END;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints
    BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable'); END;
CREATE TRIGGER head_grows BEFORE UPDATE ON head
    WHEN NEW.one <> OLD.one OR NEW.size < OLD.size
    BEGIN SELECT RAISE(ABORT, 'the head only moves on'); END;
CREATE TRIGGER head_remains BEFORE DELETE ON head
    BEGIN SELECT RAISE(ABORT, 'the head only moves on'); END;
