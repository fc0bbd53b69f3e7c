"""All read models: against a naive model of them over random histories of every kind, and what holds of every row."""

import re
from collections import defaultdict
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import canonical, catalog
from ledger.canonical import MAX_INTEGER
from ledger.entry import decode
from projections.models import READ_MODELS, TABLES
from projections.models._streams import StreamRow
from projections.state import fold_all, present
from tests.support.folding import Rows, sealed
from tests.support.histories import histories, history
from tests.support.naive import facts_of, tables

LONG = 700


def folded(entries, batch=1000):
    rows = Rows()
    rows.fold(entries, batch)
    return rows


def same(rows, entries):
    """Assert that the rows are what the naive model makes of the entries."""
    expected = tables(facts_of(entries))
    assert expected.keys() == TABLES.keys()
    for name, table in TABLES.items():
        wanted = {}
        for row in expected[name]:
            assert row.keys() <= {column.name for column in table.columns}, name
            said = {column: value for column, value in row.items() if value is not None}
            key = tuple(said[column.name] for column in table.key)
            assert key not in wanted, (name, key)
            wanted[key] = said
        found = {tuple(row[column.name] for column in table.key): row for row in rows.named(name)}
        assert found.keys() == wanted.keys(), name
        for key, row in wanted.items():
            assert found[key] == row, (name, key)


@pytest.mark.parametrize("seed", range(6))
def test_at_ten_random_moments_the_rows_are_what_a_naive_model_makes_of_the_log(seed):
    entries = sealed(history(seed, LONG, waits=True))
    rng = Random(seed)
    rows, done = Rows(), 0
    for until in [*sorted(rng.sample(range(1, len(entries)), 9)), len(entries)]:
        rows.fold(entries[done:until], batch=rng.choice((1, 7, 100)))
        done = until
        same(rows, entries[:until])


@settings(max_examples=60)
@given(histories(40, waits=True))
def test_any_history_leads_to_the_rows_of_the_naive_model(events):
    entries = sealed(events)
    same(folded(entries), entries)


@given(histories(30), st.lists(st.integers(0, 30)))
def test_how_a_history_is_cut_into_batches_changes_no_row(events, cuts):
    entries = sealed(events)
    rows, done = Rows(), 0
    for cut in [*sorted(cuts), len(entries)]:
        rows.fold(entries[done:cut])
        done = max(done, cut)
    assert rows.values() == folded(entries).values()


def test_every_column_holds_what_its_type_says():
    for seed in range(3):
        for table, rows in folded(sealed(history(seed, LONG, waits=True))).tables.items():
            for values in rows.values():
                for column, value in zip(table.columns, values, strict=True):
                    where = (table.name, column.name)
                    if value is None:
                        assert not column.required, where
                    elif column.type == "integer":
                        assert type(value) is int, where
                        assert abs(value) <= MAX_INTEGER, where
                    else:
                        assert type(value) is str, where
                    if column.type == "json" and value is not None:
                        assert value.encode() == canonical.dumps(orjson.loads(value)), where


def test_a_column_of_commitments_names_the_position_and_the_commitment_of_its_entry():
    entries = sealed(history(11, LONG))
    seen = 0
    for table, rows in folded(entries).tables.items():
        for name in (column.name for column in table.columns if column.commitments):
            for row in (table.make(values) for values in rows.values()):
                for field, (position, commitment) in orjson.loads(getattr(row, name) or "{}").items():
                    assert decode(entries[position]).event.commitments()[field] == commitment
                    seen += 1
    assert seen > 100


# --- Nothing private -------------------------------------------------------------------------------------------------

_COULD_BE_PUBLIC = re.compile(r"[A-Za-z0-9._:+-]{0,128}")


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def test_no_private_text_is_in_any_row_with_members_erased_and_without():
    events = [orjson.loads(raw) for raw in history(5, 4 * LONG, waits=True)]
    assert any(event["type"] == "member.erased" for event in events)
    private = {
        text
        for event in events
        for name in catalog.get(event["type"]).private
        for text in _texts(event["data"].get(name))
        if not _COULD_BE_PUBLIC.fullmatch(text)
    }
    assert len(private) > LONG / 4
    rows = folded(sealed(map(orjson.dumps, events)))
    held = {text for name in TABLES for row in rows.named(name) for value in row.values() for text in _texts(value)}
    assert not private & held
    assert not [text for text in private if any(text in other for other in held)]


def test_an_erased_member_is_shown_as_erased_and_keeps_the_commitments():
    rows = folded(sealed(history(2, 4 * LONG)))
    erased = [row for row in rows.named("members") if row["status"] == "erased"]
    assert any("private" in row for row in erased)
    assert all(row["erased"] for row in erased)


# --- A row and ``show`` ----------------------------------------------------------------------------------------------

_OTHERWISE = {
    "accounts": {"amount", "blocked", "currency", "due", "export"},  # of all that is owed, and of nothing once settled
    "backups": {"duration_seconds", "retry_after"},  # of the backup, not of an attempt that failed
    "holds": {"reason"},  # why it was placed; why it was released stands beside it
    "imports": {"duration_seconds", "failed", "first_position", "last_position", "requested_by", "updated"},
    "media": {"kind", "media_type", "sha256", "size"},  # of the version that is the current one
    "notifications": {"retry_after"},  # of the last attempt; a new one makes the old plan void
    "storage": {"currency", "misses"},  # of what is added up, and counted on where it is not said
}
"""By table: fields of which a row says more than what the last event that gave them said, as ``show`` does."""


def test_show_of_a_stream_agrees_with_its_row():
    entries = [decode(entry) for entry in sealed(history(21, 4 * LONG, waits=True))]
    rows = folded(sealed(history(21, 4 * LONG, waits=True)))
    streams = defaultdict(list)
    for entry in entries:
        streams[entry.event.stream].append(entry)
    compared = set()
    for name, table in TABLES.items():
        if not issubclass(table.row, StreamRow):
            continue
        for row in rows.named(name):
            shown = present(fold_all((entry, {}) for entry in streams[row["stream"]]))
            assert sorted(row.get("private", {})) == shown.get("withheld", []), row["stream"]
            for field, value in shown.items():
                if any(column.name == field for column in table.columns) and field not in _OTHERWISE.get(name, ()):
                    assert row.get(field) == value, (row["stream"], field)
                    compared.add((name, field))
    assert len(compared) > 150


# --- The declarations ------------------------------------------------------------------------------------------------


def test_every_event_type_is_folded_by_a_read_model_that_shows_more_than_counts():
    folded_types = {name for model in READ_MODELS if model.name != "statistics" for name in model.handlers}
    assert folded_types == set(catalog.names())


def test_the_name_of_a_table_stands_for_one_read_model_only():
    of_table = [(table.name, model.name) for model in READ_MODELS for table in model.tables]
    assert len(dict(of_table)) == len(of_table) == len(TABLES)
    assert all(dict(of_table).get(model.name, model.name) == model.name for model in READ_MODELS)


def test_no_table_declares_a_column_of_the_head_anew():
    head = set(StreamRow.__struct_fields__)
    for table in TABLES.values():
        if issubclass(table.row, StreamRow):
            assert not head & set(table.row.__annotations__), table.name
            assert table.by_stream
