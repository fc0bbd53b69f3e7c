"""The committed reference pages say what the code says."""

import json

import pytest

from ledger import catalog
from tools import docs


@pytest.mark.parametrize("place", docs.PAGES)
def test_the_committed_page_is_the_generated_one(place, repository):
    committed = (repository / place).read_text(encoding="utf-8")
    assert committed == docs.PAGES[place](), "run: make docs"


def test_writing_the_pages_writes_these_and_nothing_else(tmp_path):
    docs.main(tmp_path)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == sorted(docs.PAGES)


def test_the_page_tells_of_every_type_and_each_of_its_fields():
    sections = dict(part.split("\n", 1) for part in docs.events_page().split("\n### ")[1:])
    assert sorted(sections) == catalog.names()
    for name, text in sections.items():
        for field in catalog.json_schema(name)["properties"]:
            assert f"| `{field}` |" in text


def test_the_schema_covers_what_can_be_posted_and_each_part_stands_alone():
    schema = json.loads(docs.events_schema())
    postable = [name for name in catalog.names() if not catalog.get(name).issued_by_ledger]
    assert sorted(schema["$defs"]) == postable
    assert [part["$ref"] for part in schema["oneOf"]] == [part["$id"] for part in schema["$defs"].values()]


def test_a_kind_without_a_lifecycle_is_told_as_such():
    assert list(docs._lifecycle("kiln")) == ["Any of these events may follow any other in a stream of this kind.\n"]
