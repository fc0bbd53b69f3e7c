"""All read models against a naive model of them, over random histories of every kind."""

from random import Random

import pytest
from hypothesis import given, settings

from projections.models import TABLES
from tests.support.folding import Rows, sealed
from tests.support.histories import histories, history
from tests.support.naive import facts_of, tables


def same(rows, entries):
    """Assert that the rows are what the naive model makes of the entries."""
    expected = tables(facts_of(entries))
    assert expected.keys() == TABLES.keys()
    for name, table in TABLES.items():
        wanted = {}
        for row in expected[name]:
            assert row.keys() <= {column.name for column in table.columns}, name
            given = {column: value for column, value in row.items() if value is not None}
            key = tuple(given[column.name] for column in table.key)
            assert key not in wanted, (name, key)
            wanted[key] = given
        found = {tuple(row[column.name] for column in table.key): row for row in rows.named(name)}
        assert found.keys() == wanted.keys(), name
        for key, row in wanted.items():
            assert found[key] == row, (name, key)


@pytest.mark.parametrize("seed", range(6))
def test_at_ten_random_moments_the_rows_are_what_a_naive_model_makes_of_the_log(seed):
    entries = sealed(history(seed, 700, waits=True))
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
    rows = Rows()
    rows.fold(entries)
    same(rows, entries)
