"""Memory and threads that ledgers share: bounded, given back, and never all of it to one."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.app import POSTERS
from api.room import Room, Threads
from ledger.errors import Busy
from tests.support import http
from tests.support.events import requested
from tests.support.http import NDJSON, slug


def test_a_ledger_by_itself_uses_half_and_leaves_the_rest_for_others():
    room = Room(100)
    room.take("noisy", 50)
    with pytest.raises(Busy):
        room.take("noisy", 1)
    room.take("quiet", 20)
    room.give_back("noisy", 50)
    room.take("noisy", 40)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60)), max_size=30))
def test_no_one_takes_the_last_byte_and_everything_comes_back(wishes):
    room, shares = Room(200), []
    for ledger, count in wishes:
        share = room.share(ledger)
        try:
            share.grow(count)
        except Busy:
            assert share.size == 0
        shares.append((ledger, share))
        held = {name: sum(one.size for owner, one in shares if owner == name) for name in "abc"}
        assert sum(held.values()) < 200
        assert max(held.values()) <= 100
        with room.share("newcomer") as newcomer:
            newcomer.grow(1)
    for _, share in shares:
        share.release()
        share.release()
    room.take("a", 100)


def test_work_of_one_ledger_waits_for_its_own_while_another_s_is_done():
    hold = threading.Event()

    async def run():
        threads = Threads(POSTERS, POSTERS // 2)
        noisy = [asyncio.ensure_future(threads.run("noisy", hold.wait, 20)) for _ in range(50)]
        await asyncio.sleep(0)
        try:
            quiet = [await asyncio.wait_for(threads.run("quiet", threading.get_ident), 20) for _ in range(5)]
        finally:
            hold.set()
        return quiet, await asyncio.gather(*noisy)

    quiet, noisy = asyncio.run(run())
    assert len(quiet) == 5
    assert all(noisy)


def test_a_body_for_which_there_is_no_room_is_refused_and_the_room_is_given_back(tmp_path, capfdbinary):
    with http.service(tmp_path, body_limit=50_000, body_memory=1024) as service:
        body = b"\n".join(requested(f"R-{number}") for number in range(100))
        room = service.client.app.state.room
        for _ in range(3):
            assert service.post(body, NDJSON).status_code in (201, 200)
        assert room._held == {}
        with room.share("studio") as share:
            share.grow(50_000 - 20_000)
            refused = service.post(body, NDJSON)
            assert (refused.status_code, slug(refused), refused.headers["retry-after"]) == (503, "busy", "1")
            small = service.post(requested("R-small"))
            assert small.status_code == 201
        assert service.post(body, NDJSON).status_code == 200
        assert (room._held, room._free) == ({}, 100_000)
    assert b'"fault"' not in capfdbinary.readouterr().err, "to be busy is no fault"


def test_a_body_above_the_limit_gives_its_room_back(tmp_path):
    with http.service(tmp_path, body_limit=40_000) as service:
        assert service.post(b" " * 90_000, NDJSON).status_code == 413
        assert service.client.app.state.room._held == {}
