"""Records and what they name; media, their versions and the room they take."""

from tests.support.events import cloud
from tests.support.folding import rows_of


def collection(name="invoices", relations=(), fields=(("client", "id"), ("number", "code"))):
    data = {
        "version": 1,
        "effective_from": "2026-01-01",
        "collection": {
            "collection": name,
            "public_fields": [{"name": field, "type": of} for field, of in fields],
            "relations": [dict(one) for one in relations],
        },
    }
    return cloud("policy.set", f"policy:collection.{name}", data, time="2026-01-01T00:00:00Z", actorrole="admin")


def record(verb="created", stream="record:I-1", **data):
    return cloud(f"record.{verb}", stream, {"collection": "invoices", **data}, time="2026-02-01T08:00:00Z")


CLIENT = {"field": "client", "to": "record", "to_collection": "clients"}


def test_public_fields_stand_in_the_row_and_private_ones_as_commitments():
    (row,) = rows_of(collection(), record(fields={"note": "late"}, public={"number": "7"})).named("records")
    assert row["fields"] == {"number": "7"}
    assert list(row["private"]) == ["note"]
    assert row["private"]["note"][0] == 2


def test_a_declared_relation_and_a_conventional_one_name_their_streams():
    public = {"client": "C-9", "member_id": "M-1", "project_id": "P-3"}
    rows = rows_of(collection(relations=[CLIENT]), record(public=public))
    found = {row["field"]: (row["target"], row.get("target_collection")) for row in rows.named("record_relations")}
    assert found == {
        "client": ("record:C-9", "clients"),
        "member_id": ("member:M-1", None),
        "project_id": ("record:P-3", None),
    }


def test_a_relation_goes_when_its_field_is_emptied_or_names_something_else():
    first = record(public={"client": "C-9"})
    emptied = rows_of(collection(relations=[CLIENT]), first, record("updated", public={"client": None}))
    assert emptied.named("record_relations") == []
    assert emptied.named("records")[0]["fields"] == {"client": None}
    moved = rows_of(collection(relations=[CLIENT]), first, record("updated", public={"client": "C-8"}))
    assert [row["target"] for row in moved.named("record_relations")] == ["record:C-8"]


def test_records_with_the_same_public_fields_are_found():
    rows = rows_of(
        record(public={"number": "7"}),
        record(stream="record:I-2", public={"number": "7"}),
        record(stream="record:I-3", public={"number": "8"}),
    )
    doubled = [row for row in rows.named("record_contents") if row["doubled"]]
    assert [row["records"] for row in doubled] == [2]
    same = [row["stream"] for row in rows.named("records") if row["digest"] == doubled[0]["digest"]]
    assert same == ["record:I-1", "record:I-2"]


def test_completeness_counts_each_record_once_for_each_field_it_was_ever_given():
    rows = rows_of(
        record(fields={"a": 1}, public={"b": 2}),
        record("updated", fields={"a": 2}, public={"b": None}),
        record(stream="record:I-2", fields={"b": 1}),
    )
    counts = {row["field"]: row["records"] for row in rows.named("record_fields")}
    assert counts == {"a": 1, "b": 2}
    assert rows.named("collections") == [{"collection": "invoices", "active": 2, "trashed": 0, "purged": 0}]


def media(verb="stored", stream="media:P-1", time="2026-02-01T08:00:00Z", **data):
    if verb == "stored":
        data = {"rendition": "original", "kind": "photo", "location": {"store": "s", "key": "k"}} | data
    return cloud(f"media.{verb}", stream, data, time=time)


A, B = "aa" * 32, "bb" * 32
TWO = (media(sha256=A, size=100, version=1), media(sha256=B, size=30, version=2))


def test_all_versions_take_room_and_the_current_one_is_shown():
    rows = rows_of(*TWO, media("version_restored", version=1, reason="wrong-crop"))
    (row,) = rows.named("media")
    assert (row["content_version"], row["versions"], row["sha256"], row["size"]) == (1, 2, A, 100)
    assert row["bytes"] == "130"
    (kind,) = rows.named("media_by_kind")
    assert (kind["kind"], kind["stored"], kind["stored_bytes"]) == ("photo", 1, "130")


def test_what_is_trashed_and_purged_moves_from_count_to_count():
    trashed = media("trashed")
    (kind,) = rows_of(*TWO, trashed).named("media_by_kind")
    assert (kind["stored"], kind["trashed"], kind["trashed_bytes"]) == (0, 1, "130")
    purged = cloud("media.purged", "media:P-1", {"reason": "aged"}, time="2026-04-01T08:00:00Z", actorrole="system")
    rows = rows_of(*TWO, trashed, purged)
    (kind,) = rows.named("media_by_kind")
    assert (kind["trashed_bytes"], kind["purged"], kind["purged_bytes"]) == ("0", 1, "130")
    assert [row["purged"] for row in rows.named("media_versions")] == [1, 1]
    assert {row["copies"] for row in rows.named("media_contents")} == {0}


def test_content_that_is_kept_twice_is_found():
    rows = rows_of(media(sha256=A, size=1, version=1), media(stream="media:P-2", sha256=A, size=1, version=1))
    assert rows.named("media_contents") == [{"sha256": A, "size": 1, "copies": 2, "doubled": 1}]


def test_a_purge_takes_as_long_as_there_are_versions_however_they_are_numbered():
    forced = {"forced": "import", "actorrole": "admin"}
    far = cloud(
        "media.stored",
        "media:P-1",
        {"rendition": "original", "kind": "photo", "location": {"store": "s", "key": "k"}, "sha256": A, "size": 1}
        | {"version": 1_000_000},
        **forced,
    )
    purged = cloud("media.purged", "media:P-1", {"reason": "aged"}, actorrole="system")
    rows = rows_of(far, media(sha256=B, size=2, version=3), purged)
    assert [(row["content_version"], row["purged"]) for row in rows.named("media_versions")] == [(3, 1), (1_000_000, 1)]
