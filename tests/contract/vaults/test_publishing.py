"""A log published in every kind of vault: whole at every moment, sent once, and never over another history."""

import shutil
import threading

import pytest

from ledger.checkpoint import open_checkpoint
from ledger.errors import Conflict, ForkError, NotFound, SignatureError
from ledger.log import Log
from ledger.merkle import leaf_hash
from ledger.tiles import Edge, entries_path, parse_bundle, tile_path, tiles_at
from tests.support.events import ORIGIN, requested
from tools.publish import Publisher, Stopped
from tools.published import PublicationCheck, fetch_checkpoint
from tools.vaults.opening import open_vault
from tools.vaults.protocol import Kind, Oversized, VaultUnreachable

MOST = 1 << 20


@pytest.fixture
def log(tmp_path):
    """An open ledger of 250 entries."""
    with Log.create(tmp_path / "data", "studio", ORIGIN).log as opened:
        grow(opened, 250)
        yield opened


def grow(log, size):
    first = log.head().size
    log.append([requested(f"R-{number}", id=f"e-{number}") for number in range(first, size)])


def published(log, vault, *, entries=False, publisher=None):
    return (publisher or Publisher(log, vault, entries=entries)).publish(*log.checkpoint())


def read_as_a_stranger(vault, keys, *, entries):
    """The size that the vault publishes, checked from its objects and the keys alone."""
    checkpoint = open_checkpoint(vault.get("checkpoint", MOST), keys)
    edge = Edge()
    for tile in tiles_at(checkpoint.size):
        hashes = vault.get(tile_path(tile.level, tile.index, tile.width), MOST)
        assert len(hashes) == 32 * tile.width, tile
        if tile.level == 0:
            leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
            edge.extend(leaves)
            if entries:
                bundle = parse_bundle(vault.get(entries_path(tile.index, tile.width), MOST))
                assert [leaf_hash(entry) for entry in bundle] == leaves
    assert edge.root() == checkpoint.root
    for tile in edge.take_dirty():
        assert vault.get(tile_path(tile.level, tile.index, len(tile.hashes) // 32), MOST) == tile.hashes
    return checkpoint.size


class Failing:
    """A vault whose first write of one kind fails, before or after it was done."""

    def __init__(self, vault, kind, *, done=False):
        self._vault, self._kind, self._done = vault, kind, done
        self._turn = threading.Lock()

    def __getattr__(self, name):
        method = getattr(self._vault, name)
        if name != self._kind or not self._turn.acquire(blocking=False):
            return method

        def work(*arguments):
            if self._done:
                method(*arguments)
            raise VaultUnreachable("cut")

        return work


def test_what_is_published_proves_the_log_and_is_sent_once(log, vault):
    assert published(log, vault, entries=True) == (250, 2 + 1)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 250
    assert published(log, vault, entries=True) == (250, 0)
    grow(log, 520)
    # tile/0: 000, 001, 002.p/8; tile/1: 000.p/2; three bundles; the checkpoint
    assert published(log, vault, entries=True) == (520, 4 + 3 + 1)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 520


def test_partial_tiles_go_once_the_full_one_is_there_and_not_before(log, vault):
    publisher = Publisher(log, vault, entries=True)
    for size in (250, 255, 260):
        grow(log, size)
        published(log, vault, publisher=publisher)
        partial = sorted(key for key in vault.list("tile/") if ".p/" in key)
        if size < 256:
            assert "tile/0/000.p/250" in partial
            assert "tile/entries/000.p/250" in partial
        else:
            assert partial == ["tile/0/001.p/4", "tile/1/000.p/1", "tile/entries/001.p/4"]


def test_a_publisher_that_goes_on_writes_what_one_that_begins_anew_would(log, vault, place):
    publisher = Publisher(log, vault, entries=True)
    other = open_vault(f"{place}-other")
    for size in (250, 256, 257, 511, 512, 700):
        grow(log, size)
        published(log, vault, publisher=publisher)
        published(log, other, entries=True)
    assert sorted(vault.list("")) == sorted(other.list(""))
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 700


def test_bundles_are_added_to_a_publication_that_had_none(log, vault):
    published(log, vault)
    assert not list(vault.list("tile/entries"))
    published(log, vault, entries=True)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 250


def test_what_somebody_removed_is_sent_again_by_the_next_process(log, vault):
    published(log, vault)
    vault.remove(["tile/0/000.p/250"])
    assert published(log, vault) == (250, 1)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=False) == 250


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write_leaves_a_whole_publication(log, vault, done):
    published(log, vault, entries=True)
    grow(log, 520)
    sizes = {"add": 250, "put": 520 if done else 250, "remove": 520}
    for kind, size in sizes.items():
        with pytest.raises(VaultUnreachable):
            published(log, Failing(vault, kind, done=done), entries=True)
        assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == size
        if size == 520 and kind == "put":
            assert list(vault.list("tile/0/000.p/"))
    published(log, vault, entries=True)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 520
    assert not list(vault.list("tile/0/000.p/"))


@pytest.mark.parametrize("kind", ["add", "put", "remove"])
def test_the_same_publisher_goes_on_after_a_failure(log, vault, kind):
    failing = Failing(vault, kind)
    publisher = Publisher(log, failing, entries=True)
    failing._turn.acquire()
    published(log, failing, publisher=publisher)
    grow(log, 520)
    failing._turn.release()
    with pytest.raises(VaultUnreachable):
        published(log, failing, publisher=publisher)
    published(log, failing, publisher=publisher)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 520
    assert not [key for key in vault.list("tile/") if "/000.p/250" in key]


def test_it_stops_between_two_objects_when_told_to(log, vault):
    published(log, vault)
    grow(log, 520)
    with pytest.raises(Stopped):
        published(log, vault, publisher=Publisher(log, vault, entries=False, stopping=lambda: True))
    assert read_as_a_stranger(vault, log.verifier_keys, entries=False) == 250


def test_a_place_that_is_ahead_on_the_same_history_is_left_so(log, vault):
    earlier = log.checkpoint()
    grow(log, 300)
    published(log, vault)

    assert Publisher(log, vault, entries=False).publish(*earlier) == (300, 0)

    assert read_as_a_stranger(vault, log.verifier_keys, entries=False) == 300


def test_a_later_publication_that_came_meanwhile_is_not_replaced_by_an_earlier_one(log, vault):
    earlier = log.checkpoint()
    grow(log, 300)

    class Overtaken:
        """A vault in which another process publishes more while this one sends."""

        place = vault.place
        first = threading.Lock()

        def __getattr__(self, name):
            if name == "add" and self.first.acquire(blocking=False):
                published(log, vault)
            return getattr(vault, name)

    assert Publisher(log, Overtaken(), entries=False).publish(*earlier).size == 300
    assert read_as_a_stranger(vault, log.verifier_keys, entries=False) == 300


def refused(log, vault, error):
    """Publishing fails and changes nothing; what it says."""
    before = {key: vault.get(key, MOST) for key in vault.list("")}
    with pytest.raises(error) as raised:
        published(log, vault)
    assert {key: vault.get(key, MOST) for key in vault.list("")} == before
    assert vault.place in str(raised.value)
    assert raised.value.advice
    return str(raised.value)


def test_the_place_of_another_log_is_refused(log, vault, tmp_path):
    with Log.create(tmp_path / "data", "other", "ledger.example/other").log as other:
        published(other, vault)
    assert "holds the log ledger.example/other" in refused(log, vault, Conflict)


def test_a_checkpoint_of_the_same_name_by_other_keys_is_refused(log, vault, tmp_path):
    with Log.create(tmp_path / "data", "twin", ORIGIN).log as twin:
        published(twin, vault)
    assert "not this ledger's" in refused(log, vault, Conflict)


def test_a_ledger_that_went_another_way_or_back_does_not_publish_over_what_it_was(log, vault, tmp_path):
    shutil.copytree(tmp_path / "data" / "studio", tmp_path / "before" / "studio")
    grow(log, 300)
    published(log, vault)
    with Log.open(tmp_path / "before", "studio") as other:
        assert "300 entries, the ledger only 250" in refused(other, vault, ForkError)
        other.append([requested(f"other-{number}") for number in range(60)])
        assert "another history" in refused(other, vault, ForkError)


@pytest.mark.parametrize("content", [b"", b"<html>", b"a\n1\nb\n\n"])
def test_a_checkpoint_that_is_none_is_refused(log, vault, content):
    from tools.publish import SIGNED_TEXT

    vault.put("checkpoint", content, SIGNED_TEXT)
    assert "a checkpoint that is none" in refused(log, vault, Conflict)


def test_a_checkpoint_that_is_too_large_to_be_one_is_not_read(log, vault):
    from tools.publish import SIGNED_TEXT

    vault.put("checkpoint", bytes(1_000_001), SIGNED_TEXT)
    with pytest.raises(Oversized, match=r"checkpoint has more than 1,000,000 bytes"):
        published(log, vault)


@pytest.mark.parametrize("size", [250 * 32, 250 * 32 + 1, 1_000_000])
def test_a_tile_that_somebody_put_there_before_is_not_taken_for_ours(log, vault, size):
    from tools.publish import TILE

    class Late:
        """A vault that shows nothing yet of what another writer has just put there."""

        place = vault.place

        def list(self, prefix):
            return iter(())

        def __getattr__(self, name):
            return getattr(vault, name)

    vault.put("tile/0/000.p/250", bytes(size), TILE)
    with pytest.raises(Conflict, match=r"something else under tile/0/000\.p/250"):
        published(log, Late())
    assert vault.get("checkpoint", MOST) is None


def damage(vault, key, content):
    """What an object becomes in a vault, behind everybody's back; None removes it."""
    if content is None:
        vault.remove([key])
    else:
        vault.put(key, content, Kind("application/octet-stream", "no-cache"))


@pytest.mark.parametrize("key", ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"])
def test_what_was_damaged_is_found_by_a_check_and_written_anew_by_publishing_again(log, vault, key):
    grow(log, 300)
    published(log, vault, entries=True)
    before = {each: vault.get(each, MOST) for each in vault.list("")}
    right = before[key]
    for wrong in (None, right[:-1], right[:-1] + bytes([right[-1] ^ 1]), right + b"x"):
        damage(vault, key, wrong)
        if key == "checkpoint":
            with pytest.raises((NotFound, SignatureError)):
                open_checkpoint(fetch_checkpoint(vault), log.verifier_keys)
        else:
            faults = []
            PublicationCheck(vault, log.checkpoint()[0], entries=True).run(faults.append)
            assert [fault.path for fault in faults] == [key]

        assert published(log, vault, publisher=Publisher(log, vault, entries=True, again=True)) == (300, 1)
        assert {each: vault.get(each, MOST) for each in vault.list("")} == before
    assert published(log, vault, publisher=Publisher(log, vault, entries=True, again=True)) == (300, 0)


def test_publishing_again_takes_no_other_log_s_place_nor_another_history_s(log, vault, tmp_path):
    with Log.create(tmp_path / "data", "twin", ORIGIN).log as twin:
        published(twin, vault)
    before = {key: vault.get(key, MOST) for key in vault.list("")}
    with pytest.raises(Conflict, match="not this ledger's"):
        published(log, vault, publisher=Publisher(log, vault, entries=False, again=True))
    assert {key: vault.get(key, MOST) for key in vault.list("")} == before


def test_publishing_again_takes_no_place_of_another_log_that_has_lost_its_checkpoint(log, vault, tmp_path):
    with Log.create(tmp_path / "data", "larger", "ledger.example/larger").log as other:
        grow(other, 600)
        published(other, vault, entries=True)
    damage(vault, "checkpoint", b"unreadable")
    before = {key: vault.get(key, MOST) for key in vault.list("")}
    with pytest.raises(Conflict, match="nothing that was looked at is this ledger's"):
        published(log, vault, publisher=Publisher(log, vault, entries=True, again=True))
    assert {key: vault.get(key, MOST) for key in vault.list("")} == before


def test_publishing_again_mends_a_place_that_lost_its_checkpoint_and_most_of_its_tiles(log, vault):
    grow(log, 300)
    published(log, vault, entries=True)
    vault.remove(["checkpoint", "tile/1/000.p/1", "tile/entries/000"])
    for key in ("tile/0/000", "tile/entries/001.p/44"):
        damage(vault, key, b"x")
    assert published(log, vault, publisher=Publisher(log, vault, entries=True, again=True)) == (300, 5)
    assert read_as_a_stranger(vault, log.verifier_keys, entries=True) == 300


def test_publishing_again_mends_a_place_that_is_ahead_and_leaves_its_checkpoint(log, vault):
    earlier = log.checkpoint()
    grow(log, 300)
    published(log, vault)
    note = vault.get("checkpoint", MOST)
    vault.remove(["tile/0/000"])
    assert Publisher(log, vault, entries=False, again=True).publish(*earlier) == (300, 1)
    assert vault.get("checkpoint", MOST) == note
    assert read_as_a_stranger(vault, log.verifier_keys, entries=False) == 300
