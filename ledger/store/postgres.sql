-- The PostgreSQL store, one schema a ledger. Run by ledger/store/postgres_schema.py, with {schema} for the schema's name.
-- Nothing here names another schema, and nothing outside names this one: a ledger can stand on any node.
-- Text is compared by its bytes (COLLATE "C"): fast, and the same under every version of the system's locales.

CREATE SCHEMA {schema};

CREATE TABLE {schema}.meta (name text COLLATE "C" PRIMARY KEY, value text NOT NULL);

-- One row, which every writer locks; room in its page, so that each change is a new version beside the old.
CREATE TABLE {schema}.head (
    one boolean PRIMARY KEY CHECK (one),
    size bigint NOT NULL,
    leaf bytea NOT NULL,
    recorded text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL
) WITH (fillfactor = 10);

-- All but position and entry repeats what the entry's bytes say, and is there to find it; an audit compares the two.
CREATE TABLE {schema}.entries (
    position bigint PRIMARY KEY,
    version bigint NOT NULL,
    member_version bigint,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    member text COLLATE "C",
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    entry bytea NOT NULL
);
CREATE UNIQUE INDEX entries_by_stream ON {schema}.entries (stream, version);
CREATE UNIQUE INDEX entries_by_member ON {schema}.entries (member, member_version) WHERE member IS NOT NULL;
CREATE UNIQUE INDEX entries_by_id ON {schema}.entries (id, source);
CREATE INDEX entries_by_type ON {schema}.entries (type, position);

CREATE TABLE {schema}.disclosures (position bigint PRIMARY KEY, sealed bytea NOT NULL);

CREATE TABLE {schema}.data_keys (
    stream text COLLATE "C",
    member text COLLATE "C",
    position bigint NOT NULL,
    epoch bigint NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (stream, member)
);

CREATE TABLE {schema}.tiles (
    level integer,
    number bigint,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, number)
);
ALTER TABLE {schema}.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;  -- hashes don't compress: save the attempt

CREATE TABLE {schema}.checkpoints (size bigint PRIMARY KEY, note bytea NOT NULL);

-- The recorder library reads its own column names.
CREATE VIEW {schema}.stored_events AS
    SELECT position + 1 AS notification_id, stream AS originator_id, version AS originator_version,
        type AS topic, entry AS state
    FROM {schema}.entries;

-- Whether to refuse stands in each trigger's WHEN, which is bound to its operators here, not by a session's search_path.
CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'restrict_violation';
END $$;

-- A COPY into a table with a trigger on each row stores each as it comes. Without one it keeps 1,000 back, or all of them
-- until it ends, and the server would do nothing while the rest of a large request is sealed (docs/adr/0014).
CREATE TRIGGER entries_count_from_zero BEFORE INSERT ON {schema}.entries
    FOR EACH ROW WHEN (NEW.position < 0) EXECUTE FUNCTION {schema}.refuse('positions begin at 0');
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.entries
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse('entries are immutable');
CREATE TRIGGER disclosures_stay BEFORE UPDATE OR TRUNCATE ON {schema}.disclosures
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse('disclosures are kept or deleted, never changed');
CREATE TRIGGER tiles_grow BEFORE UPDATE ON {schema}.tiles
    FOR EACH ROW
    WHEN (NEW.level <> OLD.level OR NEW.number <> OLD.number
        OR substr(NEW.hashes, 1, length(OLD.hashes)) <> OLD.hashes)
    EXECUTE FUNCTION {schema}.refuse('a tile only grows');
CREATE TRIGGER tiles_remain BEFORE DELETE OR TRUNCATE ON {schema}.tiles
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse('a tile only grows');
CREATE TRIGGER checkpoints_stay BEFORE UPDATE OR TRUNCATE ON {schema}.checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse('checkpoints are immutable');
-- It has to look at other rows, which a WHEN can't; so its operators are bound by a path of its own.
CREATE FUNCTION {schema}.keep_last() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM {schema}.checkpoints WHERE size > OLD.size AND (size - 1) / 4096 = (OLD.size - 1) / 4096
    ) THEN
        RAISE EXCEPTION USING MESSAGE = 'the last checkpoint of each 4096 entries stays', ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON {schema}.checkpoints
    FOR EACH ROW EXECUTE FUNCTION {schema}.keep_last();
CREATE TRIGGER head_grows BEFORE UPDATE ON {schema}.head
    FOR EACH ROW
    WHEN (NEW.size < OLD.size OR NEW.epoch < OLD.epoch
        OR NEW.size = OLD.size AND (NEW.leaf <> OLD.leaf OR NEW.recorded <> OLD.recorded))
    EXECUTE FUNCTION {schema}.refuse('the head only moves on');
CREATE TRIGGER head_remains BEFORE DELETE OR TRUNCATE ON {schema}.head
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse('the head only moves on');
CREATE TRIGGER meta_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.meta
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse('meta is immutable');
