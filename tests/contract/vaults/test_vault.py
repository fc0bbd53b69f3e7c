"""What every vault does with objects."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.vaults.opening import open_vault
from tools.vaults.protocol import Kind, Oversized

TEXT = Kind("text/plain; charset=utf-8", "no-cache")
MOST = 1 << 20
BYTES = Kind("application/octet-stream", "public, max-age=31536000, immutable")


def test_an_empty_vault_holds_nothing(vault):
    assert list(vault.list("")) == []
    assert list(vault.list("tile/")) == []
    assert vault.get("checkpoint", MOST) is None
    assert vault.head("checkpoint") is None
    vault.remove(["checkpoint"])


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 4096, bytes(300_000)], ids=["empty", "binary", "large"])
def test_what_is_put_is_got_byte_for_byte(vault, content):
    vault.put("tile/0/x001/x234/067.p/12", content, BYTES)

    assert vault.get("tile/0/x001/x234/067.p/12", MOST) == content
    assert vault.head("tile/0/x001/x234/067.p/12") == len(content)


def test_an_object_is_read_up_to_the_size_that_is_expected_and_refused_beyond_it(vault):
    vault.put("tile/0/000", bytes(8192), BYTES)
    assert vault.get("tile/0/000", 8192) == bytes(8192)
    with pytest.raises(Oversized) as raised:
        vault.get("tile/0/000", 8191)
    assert f"{vault.place}: tile/0/000 has more than 8,191 bytes" in str(raised.value)
    assert raised.value.advice
    vault.put("tile/0/000", b"", BYTES)
    assert vault.get("tile/0/000", 0) == b"", "the connection is good for more"


def test_of_an_object_that_is_too_large_no_more_is_held_than_was_asked_for(vault):
    vault.put("huge", bytes(40_000_000), BYTES)
    tracemalloc.start()
    try:
        with pytest.raises(Oversized):
            vault.get("huge", 1000)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_put_replaces_and_add_does_not(vault):
    assert vault.add("checkpoint", b"first", TEXT) is True
    assert vault.add("checkpoint", b"second", TEXT) is False
    assert vault.get("checkpoint", MOST) == b"first"
    vault.put("checkpoint", b"third", TEXT)
    assert vault.get("checkpoint", MOST) == b"third"


def test_keys_are_listed_by_their_beginning(vault):
    keys = ["checkpoint", "tile/0/000", "tile/0/001.p/7", "tile/0/x001/000", "tile/1/000.p/1", "tile/entries/000"]
    for key in keys:
        vault.put(key, b"x", BYTES)

    assert sorted(vault.list("")) == keys
    assert sorted(vault.list("tile/0/")) == ["tile/0/000", "tile/0/001.p/7", "tile/0/x001/000"]
    assert sorted(vault.list("tile/0/00")) == ["tile/0/000", "tile/0/001.p/7"]
    assert list(vault.list("tile/2/")) == []


def test_what_is_removed_is_gone_and_the_rest_stays(vault):
    for key in ("tile/0/000.p/1", "tile/0/000.p/2", "tile/0/000"):
        vault.put(key, b"x", BYTES)

    vault.remove(["tile/0/000.p/1", "tile/0/000.p/2", "tile/0/000.p/3"])

    assert list(vault.list("")) == ["tile/0/000"]


def test_another_opening_sees_the_same_objects(place, vault):
    vault.put("checkpoint", b"here", TEXT)

    assert open_vault(place).get("checkpoint", MOST) == b"here"


def test_many_threads_may_use_one_vault(vault):
    keys = [f"tile/0/{number:03d}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda key: vault.add(key, key.encode(), BYTES), keys))

    assert sorted(vault.list("tile/")) == keys
    assert all(vault.get(key, MOST) == key.encode() for key in keys)


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/./b", "a b", "a\nb", "ä"])
def test_what_is_no_key_is_refused_before_anything_happens(vault, key):
    for work in (
        lambda key: vault.get(key, MOST),
        vault.head,
        lambda key: vault.put(key, b"x", BYTES),
        lambda key: vault.add(key, b"x", BYTES),
    ):
        with pytest.raises(ValueError, match="not a key of a vault"):
            work(key)
    assert list(vault.list("")) == []


_NAMES = st.text("abc019._~-", min_size=1, max_size=4).filter(lambda name: name.strip(".") and name[0] != ".")
_KEYS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "b-/c", "~"]) | _KEYS.map("k/".__add__), st.binary(max_size=20))
)
def test_any_objects_are_kept_as_they_were_given(vault, objects):
    leaves = {key: value for key, value in objects.items() if not any(other.startswith(f"{key}/") for other in objects)}
    for key, value in leaves.items():
        vault.put(key, value, BYTES)

    assert sorted(vault.list("")) == sorted(leaves)
    assert {key: vault.get(key, MOST) for key in leaves} == leaves
    vault.remove(leaves)
    assert list(vault.list("")) == []
