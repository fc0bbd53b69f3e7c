"""A publication that was damaged: each object at fault is named, whichever it is, and no other."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint
from ledger.errors import ForkError, NotFound, VerificationError
from ledger.merkle import leaf_hash, root_of
from ledger.tiles import Edge, entries_path, format_bundle, tile_path, tiles_at
from tools.published import PublicationCheck, check_extends, count_objects, fetch_checkpoint, has_entries
from tools.vaults.protocol import Oversized, VaultUnreachable

ORIGIN = "ledger.example/studio"
SIZES = (1, 255, 256, 257, 300, 512, 700)
LARGE = 65_836
"""Leaves with tiles of three levels, a full one at level 1, and partial ones at each."""


class Objects(dict):
    """Objects in memory, read as those of a vault."""

    place = "here"

    def get(self, key, most):
        content = super().get(key)
        if content is not None and len(content) > most:
            raise Oversized(self.place, key, most)
        return content


@cache
def publication(size, entries):
    """A checkpoint and all objects under it, made the plain way."""
    every = [b"entry %d" % number for number in range(size)]
    leaves = [leaf_hash(entry) for entry in every]
    levels, objects = [leaves], {}
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([root_of(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
    for tile in tiles_at(size):
        hashes = levels[tile.level][tile.index * 256 : tile.index * 256 + tile.width]
        objects[tile_path(tile.level, tile.index, tile.width)] = b"".join(hashes)
        if entries and tile.level == 0:
            some = every[tile.index * 256 : tile.index * 256 + tile.width]
            objects[entries_path(tile.index, tile.width)] = format_bundle(some)
    edge = Edge()
    edge.extend(leaves)
    return Checkpoint(ORIGIN, size, edge.root()), objects


def check(objects, checkpoint, *, entries):
    """The faults that come to light, as (path, fault)."""
    faults, ticks = [], []
    one = PublicationCheck(objects, checkpoint, entries=entries)
    assert one.run(faults.append, lambda done, total: ticks.append((done, total))) == len(faults)
    assert all(done <= total == one.objects for done, total in ticks)
    return faults


def flipped(content, at):
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES = {
    "missing": lambda content, at: None,
    "cut": lambda content, at: content[: at % len(content)],
    "longer": lambda content, at: content + b"\0\1x",
    "flipped": flipped,
    "huge": lambda content, at: content + bytes(256 * 70_000),
}


def damaged(objects, path, how, at):
    made = Objects(objects)
    content = DAMAGES[how](objects[path], at)
    if content is None:
        del made[path]
    else:
        made[path] = content
    return made


@pytest.mark.parametrize("entries", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_whole_publication_has_no_fault_and_each_object_is_looked_at(size, entries):
    checkpoint, objects = publication(size, entries)
    asked = set()

    class Noting(Objects):
        def get(self, key, most):
            asked.add(key)
            return super().get(key, most)

    assert check(Noting(objects), checkpoint, entries=entries) == []
    assert asked == set(objects)
    assert count_objects(size, entries=entries) == len(objects)


@pytest.mark.parametrize("entries", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_any_one_object_that_is_damaged_is_named_and_no_other(size, entries):
    checkpoint, objects = publication(size, entries)
    for path in objects:
        for how in DAMAGES:
            (fault,) = check(damaged(objects, path, how, 37), checkpoint, entries=entries)
            assert fault.path == path, (how, fault)
            expected = {"missing": {"missing"}, "flipped": {"differs", "size"}}.get(how, {"size"})
            assert fault.fault in expected, (how, fault)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("path", ["tile/2/000.p/1", "tile/1/000", "tile/1/001.p/1", "tile/0/255", "tile/0/257.p/44"])
def test_in_a_large_publication_the_one_that_is_damaged_is_named_and_no_other(path, how):
    checkpoint, objects = publication(LARGE, entries=False)
    (fault,) = check(damaged(objects, path, how, 1_000), checkpoint, entries=False)
    assert fault.path == path


@given(st.sampled_from((300, 512, 700)), st.booleans(), st.data())
def test_whoever_mends_what_is_named_ends_with_a_whole_publication(size, entries, data):
    """Where several are damaged, what lies below one of them may not come to light before that is mended."""
    checkpoint, objects = publication(size, entries)
    broken = Objects(objects)
    for path in data.draw(st.lists(st.sampled_from(sorted(objects)), min_size=1, unique=True)):
        broken = damaged(broken, path, data.draw(st.sampled_from(sorted(DAMAGES))), data.draw(st.integers(0, 9_999)))
    for _ in range(4):
        faults = check(broken, checkpoint, entries=entries)
        if not faults:
            break
        for fault in faults:
            broken[fault.path] = objects[fault.path]
    assert broken == objects
    assert check(broken, checkpoint, entries=entries) == []


def test_a_changed_entry_is_named_by_its_position():
    checkpoint, objects = publication(300, entries=True)
    changed = objects["tile/entries/001.p/44"].replace(b"entry 260", b"entry 960")
    (fault,) = check(Objects(objects | {"tile/entries/001.p/44": changed}), checkpoint, entries=True)
    assert fault.detail == "its entry at position 260 is not the one that the tree has"


def test_tiles_of_another_history_are_told_from_damage():
    other = Checkpoint(ORIGIN, 300, bytes(32))
    _, objects = publication(300, entries=True)
    (fault,) = check(Objects(objects), other, entries=True)
    assert (fault.path, fault.fault) == ("checkpoint", "differs")


def test_a_full_tile_stands_in_for_a_partial_one_that_was_removed_since():
    checkpoint, objects = publication(300, entries=True)
    _, later = publication(512, entries=True)
    gone = {path: content for path, content in objects.items() if ".p/44" not in path}
    assert check(Objects(later | gone), checkpoint, entries=True) == []
    cut = later | gone | {"tile/0/001": later["tile/0/001"][:-1]}
    (fault,) = check(Objects(cut), checkpoint, entries=True)
    assert (fault.path, fault.fault) == ("tile/0/001", "size")


def test_that_entries_are_published_is_seen_by_what_is_left_of_them():
    _, objects = publication(700, entries=True)
    bundles = sorted(path for path in objects if "entries" in path)
    assert has_entries(Objects(objects), 700)
    for gone in (bundles[:1], bundles[-1:]):
        assert has_entries(Objects({path: each for path, each in objects.items() if path not in gone}), 700)
    assert not has_entries(Objects(publication(700, entries=False)[1]), 700)
    assert not has_entries(Objects(), 0)


def test_a_publication_that_can_not_be_read_is_not_said_to_be_damaged():
    checkpoint, objects = publication(700, entries=False)

    class Cut(Objects):
        def get(self, key, most):
            if key == "tile/0/001":
                raise VaultUnreachable("cut")
            return super().get(key, most)

    with pytest.raises(VaultUnreachable):
        check(Cut(objects), checkpoint, entries=False)


@given(st.sampled_from(SIZES), st.sampled_from(SIZES))
def test_what_is_published_extends_an_earlier_checkpoint_of_the_same_history_alone(old, new):
    kept, _ = publication(old, entries=False)
    checkpoint, objects = publication(new, entries=False)
    if old > new:
        with pytest.raises(ForkError, match="the checkpoint that you kept"):
            check_extends(Objects(objects), kept, checkpoint)
        return
    check_extends(Objects(objects), kept, checkpoint)
    with pytest.raises(ForkError, match="another history"):
        check_extends(Objects(objects), Checkpoint(ORIGIN, old, bytes(32)), checkpoint)


def test_where_there_is_no_checkpoint_there_is_no_publication():
    with pytest.raises(NotFound, match="here holds no publication"):
        fetch_checkpoint(Objects())
    assert issubclass(ForkError, VerificationError)
