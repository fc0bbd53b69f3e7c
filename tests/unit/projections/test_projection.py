from typing import Annotated

import pytest
from msgspec import Meta

from ledger import catalog
from ledger.errors import InvalidEvent
from projections.models import READ_MODELS
from projections.projection import Commitments, Json, Projection, Row, Table, types_of


class Thing(Row):
    """A row of each type there is."""

    name: Annotated[str, Meta(description="the name")]
    number: Annotated[int, Meta(description="the number")]
    note: Annotated[str | None, Meta(description="a note")] = None
    parts: Annotated[Json | None, Meta(description="its parts")] = None
    private: Annotated[Commitments | None, Meta(description="private fields")] = None


def test_the_fields_of_a_row_are_the_columns_of_its_table():
    columns = Table("things", Thing, "things").columns
    assert [(one.name, one.type, one.required, one.commitments) for one in columns] == [
        ("name", "text", True, False),
        ("number", "integer", True, False),
        ("note", "text", False, False),
        ("parts", "json", False, False),
        ("private", "json", False, True),
    ]


@pytest.mark.parametrize("length", [0, 3])
def test_a_key_is_the_first_columns_and_none_of_them_may_be_empty(length):
    with pytest.raises(ValueError, match="the key is the first columns, and they are required"):
        Table("things", Thing, "things", key_length=length)


def test_a_key_of_two_columns_is_no_stream():
    with pytest.raises(ValueError, match="one where it is the stream"):
        Table("things", Thing, "things", key_length=2, by_stream=True)


def test_an_index_is_on_columns_that_there_are():
    with pytest.raises(ValueError, match="indexes on columns it hasn't: colour"):
        Table("things", Thing, "things", indexes=(("name", "colour"),))


def test_a_row_goes_into_values_and_back():
    table = Table("things", Thing, "things", key_length=2)
    row = table.make(("a", 1, None, "[]", None))
    assert (row.parts, table.key_of(row)) == ("[]", ("a", 1))


def test_a_type_has_one_handler_in_a_projection_and_must_be_known():
    model = Projection("things", version=1, tables=())
    model.on("reservation.requested")(lambda work, event, seal: None)
    with pytest.raises(ValueError, match=r"a handler of reservation\.requested already"):
        model.on("reservation.requested")(lambda work, event, seal: None)
    with pytest.raises(InvalidEvent):
        model.on("reservation.unheard_of")(lambda work, event, seal: None)


def test_a_fingerprint_changes_with_version_columns_keys_indexes_and_types():
    def prints(version=1, types=("reservation.arrived",), **table):
        model = Projection("things", version=version, tables=(Table("things", Thing, "things", **table),))
        model.on(*types)(lambda work, event, seal: None)
        return model.fingerprint()

    assert prints() == prints()
    others = [
        prints(version=2),
        prints(key_length=2),
        prints(indexes=(("note",),)),
        prints(types=types_of("reservation")),
    ]
    assert len({prints(), *others}) == 5


def test_names_of_read_models_and_their_tables_are_told_apart():
    names = [model.name for model in READ_MODELS]
    tables = [table.name for model in READ_MODELS for table in model.tables]
    assert names == sorted(set(names))
    assert len(tables) == len(set(tables))
    assert not {"generations", "generation_numbers"} & set(tables)
    assert all("__" not in name and len(name) <= 40 for name in tables)
    for model in READ_MODELS:  # a table that has a projection's name belongs to it: either name means the same
        assert model.name not in tables or model.name in {table.name for table in model.tables}


def test_a_handler_of_batches_is_the_only_one_and_is_also_given_events_one_by_one():
    model = Projection("things", version=1, tables=(Table("things", Thing, "things"),))
    seen = []
    model.on_all(lambda work, batch: seen.append([(one.event, one.seal) for one in batch]))
    assert model.handlers.keys() == set(catalog.names())
    model.handlers["reservation.requested"]("work", "event", "seal")
    assert seen == [[("event", "seal")]]
    with pytest.raises(ValueError, match="has a handler of"):
        model.on("reservation.requested")(lambda work, event, seal: None)
    with pytest.raises(ValueError, match="has handlers already"):
        model.on_all(lambda work, batch: None)
