"""Whoever gives a text of another form is told in words what it may be."""

import json
import re
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from ledger import catalog
from ledger.event import CloudEvent, fault
from ledger.patterns import END, in_words, shaped


def patterns_of(schema):
    """Every pattern in a JSON Schema."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "pattern" and isinstance(value, str):
                yield value
            else:
                yield from patterns_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns_of(value)


SCHEMAS = [msgspec.json.schema(CloudEvent), *map(catalog.json_schema, catalog.names())]
EVERY = sorted({one for schema in SCHEMAS for one in patterns_of(schema) if one.endswith(END)})
"""But for those that only describe what the type itself checks, in words of its own: the fields of records."""


def refused(pattern, text):
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert({"x": text}, dict[str, Annotated[str, Meta(pattern=pattern)]])
    return raised.value


def test_there_are_patterns_to_be_told_in_words():
    assert len(EVERY) > 15


@pytest.mark.parametrize("pattern", EVERY)
def test_every_pattern_that_a_caller_can_miss_has_words(pattern):
    told = fault(refused(pattern, "é\n"), "$.data")
    assert told.detail.startswith("expected ")
    assert "another form" not in told.detail
    assert not re.search(r"regex|\\|\^|\{\d", told.detail), told.detail
    assert told.path.startswith("$.data[")


def test_a_pattern_has_one_wording():
    shaped(r"[x]{3}'", "three x and a quote")
    assert shaped(r"[x]{3}'", "three x and a quote") == r"^[x]{3}'" + END
    with pytest.raises(ValueError, match="three x"):
        shaped(r"[x]{3}'", "something else")
    assert in_words(str(refused(rf"^[x]{{3}}'{END}", "y")).partition(" - at")[0]) == "expected three x and a quote"


def test_a_pattern_without_words_and_any_other_fault_are_told_all_the_same():
    assert in_words("Expected `str` matching regex '^a$'") == "expected a text of another form"
    for other in ("Expected `int`, got `str`", "Expected `str` of length <= 64", json.dumps("matching regex")):
        assert in_words(other) == other
