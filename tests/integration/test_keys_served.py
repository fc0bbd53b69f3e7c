"""Keys change under a live service, on both stores: its clients see no failure, and lose nothing."""

import faulthandler
import threading
import urllib.request

import msgspec

from ledger.audit import audit
from ledger.log import Log
from tests.support.events import ORIGIN, requested
from tests.support.serving import request_to, serving
from tests.support.whole import check_whole


def post(address, token, number):
    body = b"[" + b",".join(requested(f"R-{number}-{part}", f"M-{part}") for part in range(5)) + b"]"
    with urllib.request.urlopen(request_to(address, token, "events", body), timeout=60) as answer:  # noqa: S310
        return msgspec.json.decode(answer.read())


def test_epochs_turn_and_keys_rotate_while_clients_post_and_nothing_of_theirs_is_lost(place):
    log, token = Log.create(place.data, "studio", ORIGIN, store=place.store)
    first = log.verifier_keys
    log.append([requested(f"R-{number}", f"M-{number % 7}") for number in range(700)])
    store = () if place.database is None else ("--store", place.database)
    with log, serving("serve", "--data", place.data, *store) as address:
        done, faults, posted = threading.Event(), [], []

        def go_on(client):
            number = 0
            while not done.is_set():
                try:
                    post(address, token, f"{client}-{number}")
                except BaseException as error:  # noqa: BLE001 - told below
                    faults.append(error)
                    return
                posted.append(5)
                number += 1

        threads = [threading.Thread(target=go_on, args=(client,)) for client in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                log.epochs.turn()
                assert log.epochs.settle().effective
                log.rotate_keys("scheduled")
                before = len(posted)
                while len(posted) < before + 3 and not faults:
                    done.wait(0.01)
        finally:
            done.set()
            for thread in threads:
                thread.join(60)
        if faults:
            faulthandler.dump_traceback(all_threads=True)  # of this side; the service's are shown as it is stopped
        assert faults == []
        standing = log.epochs.standing()
        assert (standing.epoch, list(standing.wrapped), standing.settled) == (3, [3], True)
        rows = list(log.scan())
        assert len(rows) == 1 + 700 + 2 + sum(posted)
        for row, values in zip(rows, log.disclose(rows), strict=True):
            assert set(values) == set(row.content().event.commitments()), "every private value still opens"
    with place.open() as opened:
        check_whole(opened)
        assert audit(opened.store, first).ok
