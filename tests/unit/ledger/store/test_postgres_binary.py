"""Arrays in PostgreSQL's binary format: the driver reads back what was encoded, and would have encoded the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

from ledger.store.postgres_binary import array

ARRAY_OIDS = {"int8": 1016, "text": 1009, "bytea": 1001}
VALUES = {
    "int8": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "bytea": st.binary(),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_the_driver_reads_back_what_was_encoded(kind, data):
    values = data.draw(st.lists(st.none() | VALUES[kind]))
    loader = Transformer().get_loader(ARRAY_OIDS[kind], Format.BINARY)
    assert loader.load(array(kind, values)) == values


@pytest.mark.parametrize(("kind", "values"), [("text", ["a", "ä", ""]), ("bytea", [b"", b"\0"]), ("text", [None, "x"])])
def test_the_driver_would_have_encoded_the_same(kind, values):
    dumper = Transformer().get_dumper(values, PyFormat.BINARY)
    assert bytes(dumper.dump(values)) == array(kind, values)
