-- The SQLite store, a ledger in one file. Read by ledger/store/sqlite.py, statement by statement.
-- `rowid` is position + 1, declared so that VACUUM can't renumber it and the recorder library finds it by name.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    recorded TEXT NOT NULL,
    epoch INTEGER NOT NULL
);

-- An entry is its bytes and no more: what finds it again is taken from them, in a file of its own (sqlite_index.sql).
CREATE TABLE entries (rowid INTEGER PRIMARY KEY, entry BLOB NOT NULL);

CREATE TABLE disclosures (rowid INTEGER PRIMARY KEY, sealed BLOB NOT NULL);

-- The row of a key is that of the first entry with disclosures under it, so that a stream's index finds it.
CREATE TABLE data_keys (
    rowid INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    member TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    wrapped BLOB NOT NULL
);

CREATE TABLE tiles (level INTEGER, number INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (level, number));

CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL);

-- The recorder library reads its own column names.
CREATE VIEW stored_events AS
    SELECT
        rowid,
        json_extract(CAST(entry AS TEXT), '$.event.stream') AS originator_id,
        json_extract(CAST(entry AS TEXT), '$.seal.version') AS originator_version,
        json_extract(CAST(entry AS TEXT), '$.event.type') AS topic,
        entry AS state
    FROM entries;

CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are immutable'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are immutable'); END;
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
    WHEN NOT EXISTS (SELECT 1 FROM checkpoints WHERE size > OLD.size AND (size - 1) / 4096 = (OLD.size - 1) / 4096)
    BEGIN SELECT RAISE(ABORT, 'the last checkpoint of each 4096 entries stays'); END;
CREATE TRIGGER head_grows BEFORE UPDATE ON head
    WHEN NEW.one <> OLD.one OR NEW.size < OLD.size OR NEW.epoch < OLD.epoch
        OR NEW.size = OLD.size AND (NEW.leaf <> OLD.leaf OR NEW.recorded <> OLD.recorded)
    BEGIN SELECT RAISE(ABORT, 'the head only moves on'); END;
CREATE TRIGGER head_remains BEFORE DELETE ON head
    BEGIN SELECT RAISE(ABORT, 'the head only moves on'); END;
CREATE TRIGGER meta_stays BEFORE UPDATE ON meta
    BEGIN SELECT RAISE(ABORT, 'meta is immutable'); END;
CREATE TRIGGER meta_remains BEFORE DELETE ON meta
    BEGIN SELECT RAISE(ABORT, 'meta is immutable'); END;

-- REPLACE deletes rows without firing delete triggers, so what exists is also refused as new.
CREATE TRIGGER entries_are_new BEFORE INSERT ON entries
    WHEN NEW.rowid <= (SELECT size FROM head)
    BEGIN SELECT RAISE(ABORT, 'entries are immutable'); END;
CREATE TRIGGER disclosures_are_new BEFORE INSERT ON disclosures
    WHEN NEW.rowid <= (SELECT size FROM head)
    BEGIN SELECT RAISE(ABORT, 'disclosures are kept or deleted, never changed'); END;
CREATE TRIGGER tiles_are_new_or_grow BEFORE INSERT ON tiles
    WHEN EXISTS (SELECT 1 FROM tiles WHERE level = NEW.level AND number = NEW.number
        AND substr(NEW.hashes, 1, length(hashes)) <> hashes)
    BEGIN SELECT RAISE(ABORT, 'a tile only grows'); END;
CREATE TRIGGER checkpoints_are_new BEFORE INSERT ON checkpoints
    WHEN EXISTS (SELECT 1 FROM checkpoints WHERE size = NEW.size AND note <> NEW.note)
    BEGIN SELECT RAISE(ABORT, 'checkpoints are immutable'); END;
CREATE TRIGGER head_is_one BEFORE INSERT ON head
    WHEN EXISTS (SELECT 1 FROM head)
    BEGIN SELECT RAISE(ABORT, 'the head only moves on'); END;
