"""Declaring types: what is checked at import, and how old versions are read."""

import datetime as dt
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from ledger import catalog
from ledger.catalog.base import EventData, EventType, Private, Secret, event_type, registry
from ledger.catalog.values import Instant
from ledger.errors import InvalidEvent


class Made(EventData, frozen=True, kw_only=True):
    """A type that is nowhere registered."""

    born: Private[msgspec.Raw] | UnsetType = UNSET
    label: str
    secret: Secret[list[int]] | UnsetType = UNSET
    size: int | UnsetType = UNSET


def rename(data: dict[str, Any]) -> dict[str, Any]:
    return {"label" if name == "title" else name: value for name, value in data.items()}


def resize(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "size": int(data["size"])} if "size" in data else data


def test_an_old_version_is_read_in_the_shape_of_the_current_one():
    made = EventType("piece.made", Made, retention="service", version=3, upcasts={1: rename, 2: resize})
    stored = {"title": "bowl", "size": "3"}
    assert made.upcast(1, stored) == {"label": "bowl", "size": 3}
    assert stored == {"title": "bowl", "size": "3"}
    assert made.upcast(2, {"label": "bowl", "size": "3"}) == {"label": "bowl", "size": 3}
    assert made.upcast(3, {"label": "bowl"}) == {"label": "bowl"}


@pytest.mark.parametrize("version", [0, -1, 4])
def test_a_version_that_is_not_known_is_refused(version):
    made = EventType("piece.made", Made, retention="service", version=3, upcasts={1: rename, 2: resize})
    with pytest.raises(InvalidEvent, match=rf"piece\.made version {version} is not known here") as caught:
        made.upcast(version, {})
    assert caught.value.path == "$.v"


@pytest.mark.parametrize("upcasts", [None, {}, {1: rename}, {2: resize}, {1: rename, 2: resize, 3: resize}])
def test_a_version_without_an_upcast_from_each_earlier_one_cannot_be_declared(upcasts):
    with pytest.raises(ValueError, match="needs an upcast from each"):
        EventType("piece.made", Made, retention="service", version=3, upcasts=upcasts)


def test_private_and_withheld_fields_are_read_from_the_annotations():
    made = EventType("piece.made", Made, retention="service")
    assert made.private == ("born", "secret")
    assert made.withheld == ("secret",)
    assert made.kind == "piece"
    assert repr(made) == "EventType('piece.made', version=1)"


def test_private_values_come_out_as_plain_json_values():
    made = EventType("piece.made", Made, retention="service")
    public, private = made.split(Made(label="bowl", secret=[1, 2]))
    assert (public, private) == (b'{"label":"bowl"}', {"secret": [1, 2]})


def test_a_type_is_decoded_from_a_part_of_a_larger_text_too():
    made = EventType("piece.made", Made, retention="service")
    outer = msgspec.json.decode(b'{"data": {"label":"bowl"} }', type=dict[str, msgspec.Raw])
    assert made.decode(outer["data"]) == Made(label="bowl")


@pytest.mark.parametrize(
    "name", ["piece", "Piece.made", "piece.", ".made", "piece.made.twice", "piece.made\n", "pi-ece.made"]
)
def test_a_name_that_is_not_kind_and_verb_cannot_be_declared(name):
    with pytest.raises(ValueError, match=r"kind\.verb"):
        EventType(name, Made, retention="service")


def test_a_retention_class_that_is_not_defined_cannot_be_declared():
    with pytest.raises(ValueError, match="no retention class 'forever'"):
        EventType("piece.made", Made, retention="forever")


def test_fields_out_of_canonical_order_cannot_be_declared():
    class Unordered(EventData, frozen=True, kw_only=True):
        b: int
        a: int

    with pytest.raises(ValueError, match=r"Unordered: declare fields in the order of their JSON names: \['a', 'b'\]"):
        EventType("piece.made", Unordered, retention="service")


class Unsorted(EventData, frozen=True, kw_only=True):
    """Out of order by its JSON names only."""

    a: int = msgspec.field(name="z")
    b: int


class Hiding(EventData, frozen=True, kw_only=True):
    """A private field where none may stand, below the top."""

    notes: Private[str]


@pytest.mark.parametrize("inner", [Unsorted, Unsorted | UnsetType, list[Unsorted], list[list[Unsorted]]])
def test_nested_fields_out_of_canonical_order_cannot_be_declared(inner):
    outer = msgspec.defstruct("Outer", [("inner", inner)], bases=(EventData,), frozen=True, kw_only=True)
    with pytest.raises(ValueError, match=r"Unsorted: declare"):
        EventType("piece.made", outer, retention="service")


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        (float, "float"),
        (int | None, "none"),
        (dict[str, int], "dict"),
        (list[dict[str, int]], "dict"),
        (dt.datetime, "datetime"),
        (set[str], "set"),
        (bytes, "bytes"),
        (Any, "any"),
    ],
)
def test_public_data_of_a_type_without_one_byte_form_cannot_be_declared(inner, named):
    outer = msgspec.defstruct("Outer", [("inner", inner)], bases=(EventData,), frozen=True, kw_only=True)
    with pytest.raises(ValueError, match=rf"Outer\.inner: a {named} is not for public data"):
        EventType("piece.made", outer, retention="service")


def test_a_private_field_below_the_top_cannot_be_declared():
    outer = msgspec.defstruct("Outer", [("inner", list[Hiding])], bases=(EventData,), frozen=True, kw_only=True)
    with pytest.raises(ValueError, match=r"Hiding\.notes: a private field stands at the top of data only"):
        EventType("piece.made", outer, retention="service")


def test_a_type_that_heeds_another_stream_without_reading_its_data_cannot_be_declared():
    with pytest.raises(ValueError, match="has to read the data"):
        EventType("piece.made", Made, retention="service", heeds=lambda data: None)


class Late(EventData, frozen=True, kw_only=True):
    """An instant where nobody checks that it exists."""

    at: Instant


def test_an_instant_below_the_top_cannot_be_declared():
    outer = msgspec.defstruct("Outer", [("inner", list[Late])], bases=(EventData,), frozen=True, kw_only=True)
    with pytest.raises(ValueError, match=r"Late\.at: an instant stands at the top of data only"):
        EventType("piece.made", outer, retention="service")


def test_every_instant_is_checked_to_exist():
    made = EventType("piece.made", Late, retention="service")
    assert made.decode(b'{"at":"2026-02-28T09:00:00Z"}') == Late(at="2026-02-28T09:00:00Z")
    with pytest.raises(InvalidEvent) as caught:
        made.decode(b'{"at":"2026-02-30T09:00:00Z"}')
    assert caught.value.path == "$.data.at"


def test_data_that_takes_unknown_fields_cannot_be_declared():
    class Open(EventData, frozen=True, kw_only=True, forbid_unknown_fields=False):
        a: int

    with pytest.raises(ValueError, match="must refuse unknown fields"):
        EventType("piece.made", Open, retention="service")


def test_a_name_can_be_declared_once_only():
    before = dict(registry())
    with pytest.raises(ValueError, match=r"reservation\.requested is declared twice"):
        event_type("reservation.requested", retention="service")(Made)
    assert registry() == before
    assert catalog.get("reservation.requested").data is not Made
