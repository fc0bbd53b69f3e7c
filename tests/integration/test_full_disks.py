"""A disk runs full, on both stores: nothing acknowledged is lost, the problem is named, and room brings all back."""

import pytest

from tests.integration import full_disks
from tests.support.small_disk import Unavailable, run_on

SQLITE, POSTGRESQL = 12, 96
"""Mebibytes of a disk: a new server's own files take half of theirs."""


def run(mebibytes, scenario):
    try:
        run_on(mebibytes, scenario)
    except Unavailable as why:
        pytest.skip(str(why))


def test_a_ledger_that_fills_its_disk_is_readable_says_so_and_goes_on_when_there_is_room():
    run(SQLITE, full_disks.sqlite_runs_full)


def test_a_service_that_is_stopped_on_a_full_disk_ends_and_starts_with_all_that_it_acknowledged():
    run(SQLITE, full_disks.sqlite_closes_on_a_full_disk)


def test_a_database_without_room_for_entries_refuses_them_and_goes_on_when_there_is():
    run(POSTGRESQL, full_disks.postgres_has_no_room_for_entries)


def test_a_database_without_room_for_its_own_log_stops_and_has_all_that_was_acknowledged_when_it_starts():
    run(POSTGRESQL, full_disks.postgres_has_no_room_for_its_log)
