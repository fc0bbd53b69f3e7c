"""The columns beside the entries in PostgreSQL, altered by their owner: the audit names position and column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from ledger.audit import Fault, audit
from ledger.log import Log
from ledger.store.opening import StoreURL
from tests.support.events import ORIGIN, estimate_changed, requested

SIZE = 601
ALTERATIONS = {
    "stream": ("'reservation:R-elsewhere'", "stream || ''''", "''", "stream || chr(10)"),
    "version": ("version + 7", "-version"),
    "type": ("'reservation.confirmed'", "upper(type)"),
    "member": ("'M-elsewhere'", "NULL", "''", "chr(9)"),
    "member_version": ("member_version + 9000", "NULL"),
    "source": ("'urn:elsewhere'", "source || ' '"),
    "id": ("'elsewhere'", "chr(10) || id"),
}


class Owned(NamedTuple):
    """A ledger and its owner's connection, whose changes no trigger refuses."""

    log: Log
    owner: psycopg.Connection

    def fault(self, jobs: int = 1) -> tuple[int, str, str]:
        fault = audit(self.log.store, self.log.verifier_keys, jobs=jobs).first_fault
        assert isinstance(fault, Fault)
        return fault.position, fault.kind, fault.detail


@pytest.fixture
def owned(tmp_path: Path, database: str) -> Iterator[Owned]:
    with Log.create(tmp_path, "studio", ORIGIN, store=StoreURL(database)).log as log:
        named = [(f"R-{number}", None if number % 7 == 0 else f"M-{number % 40}") for number in range((SIZE - 1) // 2)]
        log.append([requested(name, member) for name, member in named])
        log.append([estimate_changed(name, member) for name, member in named])
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute("SET search_path = ledger_studio")
            owner.execute("ALTER TABLE entries DISABLE TRIGGER ALL")
            yield Owned(log, owner)


def test_each_column_that_is_altered_is_named_with_its_position(owned: Owned) -> None:
    assert audit(owned.log.store, owned.log.verifier_keys).ok
    owned.owner.execute("CREATE TABLE kept AS SELECT * FROM entries")
    for column, values in ALTERATIONS.items():
        for position, value in zip((300, 2, SIZE - 1, 255), values, strict=False):
            owned.owner.execute(f"UPDATE entries SET {column} = {value} WHERE position = %s", (position,))
            assert owned.fault()[:2] == (position, "place"), (column, value)
            assert owned.fault()[2].startswith(f"its column {column} holds "), (column, value)
            owned.owner.execute(
                f"UPDATE entries e SET {column} = k.{column} FROM kept k WHERE k.position = e.position"
                " AND e.position = %s",
                (position,),
            )
    assert audit(owned.log.store, owned.log.verifier_keys).ok


def test_a_member_put_beside_an_entry_about_nobody_is_named(owned: Owned) -> None:
    owned.owner.execute("UPDATE entries SET member = 'M-1', member_version = 9000 WHERE position = 1")
    assert owned.fault() == (1, "place", "its column member holds 'M-1', the entry states None")


def test_of_several_faults_the_first_is_told_whatever_its_kind_and_whoever_finds_it(owned: Owned) -> None:
    owned.owner.execute("UPDATE entries SET source = 'urn:elsewhere' WHERE position IN (400, 401)")
    assert owned.fault()[:2] == owned.fault(jobs=2)[:2] == (400, "place")
    owned.owner.execute("UPDATE entries SET entry = '\\x00' WHERE position = 390")
    assert owned.fault()[:2] == owned.fault(jobs=2)[:2] == (390, "entry")
    owned.owner.execute("UPDATE entries SET id = 'elsewhere' WHERE position = 380")
    assert owned.fault()[:2] == (380, "place")


def test_a_column_of_another_type_is_another_value(owned: Owned) -> None:
    owned.owner.execute("DROP VIEW stored_events")
    owned.owner.execute("ALTER TABLE entries ALTER COLUMN version TYPE text")
    assert owned.fault() == (0, "place", "its column version holds '1', the entry states 1")
