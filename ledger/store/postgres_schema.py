"""A ledger's schema in PostgreSQL: its name, its making, and what the service's role may do in it.

Owns the text of postgres.sql and the grants. An owner role makes and migrates; the service's role reads, appends, moves
the head and lets tiles grow, and may delete what an erasure deletes, and checkpoints but for the last of each block,
which a trigger keeps. It owns nothing, so it can neither change a table
nor lift a trigger. Never runs on the path of appends.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier

from ledger.errors import Conflict
from ledger.store.protocol import Head

PREFIX = "ledger_"
STATE_PREFIX = "state_"
"""Of the schema into which the ledger's projections are folded; no longer than the other, so every name fits."""
SCHEMA_VERSION = "1"
LONGEST_NAME = 63 - len(PREFIX)
"""Letters of a ledger's name at most: PostgreSQL cuts longer names of schemas and channels, and two could meet."""

GRANTS = """
    GRANT USAGE ON SCHEMA {schema} TO {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
    GRANT INSERT ON {schema}.entries, {schema}.disclosures, {schema}.data_keys, {schema}.tiles, {schema}.checkpoints
        TO {role};
    GRANT UPDATE (size, leaf, recorded, epoch) ON {schema}.head TO {role};
    GRANT UPDATE (hashes) ON {schema}.tiles TO {role};
    GRANT DELETE ON {schema}.disclosures, {schema}.data_keys, {schema}.checkpoints TO {role};
    GRANT USAGE, CREATE ON SCHEMA {state} TO {role};
"""
"""What the role of a service may do in a ledger's schema, and beside it: projections are tables of its own."""


def schema_of(name: str) -> str:
    """The schema of the ledger ``name``. Raises ``ValueError`` when the name is too long for PostgreSQL."""
    if len(name) > LONGEST_NAME:
        raise ValueError(f"in PostgreSQL a ledger's name is {LONGEST_NAME} characters at most, got {len(name)}")
    return PREFIX + name


def state_schema_of(schema: str) -> str:
    """The schema of the projections of the ledger in ``schema``."""
    return STATE_PREFIX + schema.removeprefix(PREFIX)


def create_schema(connection: Connection[Any], schema: str, origin: str, head: Head, claim: str) -> None:
    """Make the schema with its tables, empty, at ``head``, and the empty one of its projections, in one transaction.

    ``claim`` is kept in it: a secret of whoever makes it, by which it can be taken back (``reclaim_schema``) until it
    is a ledger's. Raises ``Conflict`` when either exists.
    """
    text = resources.files("ledger.store").joinpath("postgres.sql").read_text(encoding="utf-8")
    with connection.transaction():
        try:
            connection.execute(_filled(text, schema=Identifier(schema)))
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(state_schema_of(schema))))
        except (errors.DuplicateSchema, errors.UniqueViolation) as error:  # the second: made by another just now
            raise Conflict(
                f"there is a schema {schema} already in the database",
                advice="choose another name; if an interrupted init left it, repeat that with the same --data, or if "
                "that folder is lost, let the owner see that it holds no entry but the first, and then: "
                f"DROP SCHEMA {schema}, {state_schema_of(schema)} CASCADE",
            ) from error
        within = Identifier(schema)
        connection.execute(SQL("INSERT INTO {}.head VALUES (true, %s, %s, %s, %s)").format(within), head)
        connection.execute(
            SQL("INSERT INTO {}.meta VALUES ('origin', %s), ('schema', %s), ('claim', %s)").format(within),
            (origin, SCHEMA_VERSION, claim),
        )


def reclaim_schema(connection: Connection[Any], schema: str, claim: str) -> None:
    """Take back the schema that was made under this claim, if there is one and no ledger came of it.

    The claim is in it, so nobody else made it; and it has no entry, or none but ``ledger.created``, so nobody has used
    it. Any other is left as it is. One transaction, under the head's lock: nothing can be appended meanwhile.
    """
    within = Identifier(schema)
    with connection.transaction():
        if connection.execute("SELECT to_regclass(%s) AS head", [f'"{schema}".head']).fetchone() == {"head": None}:
            return
        connection.execute(SQL("SELECT size FROM {}.head FOR UPDATE").format(within))
        unused = SQL(
            "SELECT 1 AS unused FROM {0}.meta WHERE name = 'claim' AND value = %s AND value <> ''"
            " AND NOT EXISTS (SELECT 1 FROM {0}.entries WHERE position > 0)"
        )
        if connection.execute(unused.format(within), (claim,)).fetchone() is not None:
            drop_schema(connection, schema)


def drop_schema(connection: Connection[Any], schema: str) -> None:
    """Take back a schema that ``create_schema`` made, with all in it. For a ledger that never came to be."""
    both = Identifier(schema), Identifier(state_schema_of(schema))
    connection.execute(SQL("DROP SCHEMA {}, {} CASCADE").format(*both))


def grant(connection: Connection[Any], schema: str, role: str) -> None:
    """Let the service's role ``role`` use the schema: what docs/how-to/postgresql.md lists, and nothing else."""
    with connection.transaction():
        connection.execute(
            _filled(GRANTS, schema=Identifier(schema), state=Identifier(state_schema_of(schema)), role=Identifier(role))
        )


def _filled(text: str, **names: Identifier) -> Composed:
    """Statements with names filled in, quoted."""
    return SQL(text).format(**names)
