import msgspec
import pytest

from projections.projection import Column, Table
from projections.read_models import READ_MODELS


@pytest.mark.parametrize("length", [0, 3])
def test_a_key_has_one_or_two_columns(length):
    columns = tuple(Column(name, "text", "", required=True) for name in "abc")
    with pytest.raises(ValueError, match="the first one or two columns"):
        Table("t", columns, length)


def test_a_key_column_is_never_empty():
    with pytest.raises(ValueError, match="they are required"):
        Table("t", (Column("a", "text", ""),))


def test_a_fingerprint_changes_with_version_columns_and_types():
    model = READ_MODELS[0]
    table = model.tables[0]
    wider = msgspec.structs.replace(table, columns=(*table.columns, Column("more", "text", "")))
    others = [
        msgspec.structs.replace(model, version=model.version + 1),
        msgspec.structs.replace(model, tables=(wider,)),
        msgspec.structs.replace(model, types=model.types - {"reservation.arrived"}),
    ]
    assert len({one.fingerprint() for one in (model, *others)}) == 4


def test_names_of_read_models_and_their_tables_are_told_apart():
    names = [model.name for model in READ_MODELS]
    tables = [table.name for model in READ_MODELS for table in model.tables]
    assert names == sorted(set(names))
    assert len(tables) == len(set(tables))
    assert "projections" not in tables


def test_every_column_says_what_it_holds():
    for model in READ_MODELS:
        for table in model.tables:
            assert all(column.description for column in table.columns)
