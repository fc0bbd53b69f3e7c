"""State roots depend on rows alone, and on all of them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Annotated, Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from ledger.merkle import leaf_hash, root_of
from projections.projection import Row, Table
from projections.roots import Difference, first_difference, row_bytes, state_root


class Bowl(Row):
    """A row of every kind of column."""

    shelf: Annotated[str, Meta(description="where")]
    place: Annotated[int, Meta(description="which")]
    glaze: Annotated[str | None, Meta(description="colour")]
    weight: Annotated[int | None, Meta(description="grams")]


BOWLS = Table("bowls", Bowl, "bowls", key_length=2)
CUPS = Table("cups", Bowl, "cups", key_length=2)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
rows = st.lists(
    st.tuples(texts, st.integers(-5, 5), st.none() | texts, st.none() | st.integers(-(2**53) + 1, 2**53 - 1)),
    unique_by=lambda row: row[:2],
    max_size=40,
).map(lambda found: sorted(found, key=lambda row: (row[0].encode(), row[1])))


@given(rows.filter(bool))
def test_a_row_is_hashed_as_canonical_json(found: list[Any]) -> None:
    names = [column.name for column in BOWLS.columns]
    for values in found:
        document = {"table": "bowls", "row": dict(zip(names, values, strict=True))}
        assert row_bytes(BOWLS, values) == rfc8785.dumps(document)


@given(rows, rows)
def test_the_root_is_that_of_the_tree_over_all_rows(bowls: list[Any], cups: list[Any]) -> None:
    leaves = [leaf_hash(row_bytes(BOWLS, row)) for row in bowls] + [leaf_hash(row_bytes(CUPS, row)) for row in cups]

    assert state_root([(CUPS, cups), (BOWLS, bowls)]) == (len(leaves), root_of(leaves))


def test_no_rows_have_the_root_of_the_empty_tree() -> None:
    assert state_root([(BOWLS, [])]) == (0, sha256(b"").digest())


@given(rows, rows)
def test_the_first_difference_is_found_by_key(expected: list[Any], actual: list[Any]) -> None:
    found = first_difference(BOWLS, expected, actual)

    left, right = ({row[:2]: row for row in side} for side in (expected, actual))
    unequal = sorted(
        (key for key in left.keys() | right.keys() if left.get(key) != right.get(key)),
        key=lambda key: (key[0].encode(), key[1]),
    )
    if not unequal:
        assert found is None
        assert state_root([(BOWLS, expected)]) == state_root([(BOWLS, actual)])
    else:
        assert found is not None
        assert found.key == unequal[0]
        assert state_root([(BOWLS, expected)]) != state_root([(BOWLS, actual)])


def test_a_difference_shows_both_rows_by_column() -> None:
    found = first_difference(BOWLS, [("a", 1, "blue", 2)], [("a", 1, "red", None)])

    assert found == Difference(
        "bowls",
        ("a", 1),
        {"shelf": "a", "place": 1, "glaze": "blue", "weight": 2},
        {"shelf": "a", "place": 1, "glaze": "red", "weight": None},
    )
    assert json.dumps(found)
