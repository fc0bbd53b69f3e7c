-- The index of a SQLite ledger, a cache in a file of its own. Read by ledger/store/sqlite_index.py, which splits it at
-- each semicolon. Numbers for names keep the tables narrow.

-- `making` is drawn anew whenever the index is emptied, so that nobody goes on with another than the one they checked.
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), schema TEXT NOT NULL, making BLOB NOT NULL, size INTEGER NOT NULL, last BLOB
);
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE by_stream (name INTEGER, position INTEGER, PRIMARY KEY (name, position)) WITHOUT ROWID;
CREATE TABLE by_member (name INTEGER, position INTEGER, PRIMARY KEY (name, position)) WITHOUT ROWID;
CREATE TABLE by_type (name INTEGER, position INTEGER, PRIMARY KEY (name, position)) WITHOUT ROWID;
CREATE TABLE ids (source INTEGER, id TEXT, position INTEGER NOT NULL, PRIMARY KEY (source, id)) WITHOUT ROWID;
