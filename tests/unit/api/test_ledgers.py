"""The ledgers of a server, as they are opened."""

import asyncio
import time

from api.ledgers import Ledgers
from api.published import Publishers
from tests.support.events import new_log, requested


def open_and_wait(data, done):
    """Open the ledger as a server does, and close it once ``done`` says so."""
    alarms = []

    async def run():
        ledgers = Ledgers(data, lambda name, text: alarms.append(text), Publishers(None, data, lambda name, text: None))
        log = await ledgers.open("studio")
        await asyncio.to_thread(wait, log)
        await ledgers.close()

    def wait(log):
        deadline = time.monotonic() + 30
        while not done(log, alarms):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    asyncio.run(run())
    return alarms


def test_a_turn_of_the_epoch_that_was_interrupted_is_finished_when_a_server_opens_the_ledger(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested()])
        log.epochs.turn()
        assert log.epochs.unsettled() == [1]
    alarms = open_and_wait(tmp_path, lambda log, alarms: not log.epochs.unsettled())
    assert alarms == []
    assert not (tmp_path / "studio" / "keys" / "epoch-000001.key").exists()


def test_a_damaged_data_key_that_keeps_a_turn_from_its_end_raises_an_alarm(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested()])
        with log.store.writing() as writes:
            writes.rewrap([key._replace(wrapped=bytes(60)) for key in writes.keys_before(2)])
        log.epochs.turn()
    (alarm,) = open_and_wait(tmp_path, lambda log, alarms: alarms)
    assert "damaged data keys: 1, the first the data key of M-1 in reservation:R-1, epoch 1" in alarm
    assert "continuity keys rewrap" in alarm


def test_a_scrub_that_was_left_undone_is_done_when_a_server_opens_the_ledger(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested()])
    (tmp_path / "studio" / "keys" / "scrub-due").touch(0o600)
    assert open_and_wait(tmp_path, lambda log, alarms: log.epochs.standing().scrubbed) == []


def test_a_turn_that_can_t_be_finished_raises_an_alarm_and_the_ledger_is_open_all_the_same(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested()])
        log.epochs.turn()
    (tmp_path / "studio" / "keys" / "epoch-000001.key").write_bytes(b"noise")
    (alarm,) = open_and_wait(tmp_path, lambda log, alarms: alarms and log.head().size == 2)
    assert "is damaged" in alarm


def test_a_server_keeps_the_projections_of_every_ledger_from_its_start_and_tells_of_one_it_can_t_open(tmp_path):
    with new_log(tmp_path) as log:
        log.append([requested()])
    (tmp_path / "broken" / "keys").mkdir(parents=True)
    alarms = []

    async def run():
        publishers = Publishers(None, tmp_path, lambda name, text: None)
        ledgers = Ledgers(tmp_path, lambda name, text: alarms.append((name, text)), publishers)
        started = time.monotonic()
        ledgers.begin()
        assert time.monotonic() - started < 1
        deadline = time.monotonic() + 30
        while not (await asyncio.to_thread(is_kept, ledgers) and alarms):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await ledgers.close()

    def is_kept(ledgers):
        try:
            with ledgers.tail("studio").reading() as reads:
                return {one.state for one in reads.generations()} == {"live"}
        except KeyError:
            return False

    asyncio.run(run())
    ((name, text),) = alarms
    assert name == "broken"
    assert "can't be opened, and its projections are not kept" in text


def test_a_server_that_is_stopped_while_it_begins_ends_without_an_alarm(tmp_path):
    with new_log(tmp_path):
        pass
    alarms = []

    async def run():
        publishers = Publishers(None, tmp_path, lambda name, text: None)
        ledgers = Ledgers(tmp_path, lambda name, text: alarms.append(text), publishers)
        ledgers.begin()
        await ledgers.close()
        await ledgers.close()

    asyncio.run(run())
    assert alarms == []
