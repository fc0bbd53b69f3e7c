"""Turns between the writer and those who prepare: one at a time, the writer first, nobody for ever."""

import threading
import time

from ledger.turn import PATIENCE_SECONDS, Turn


def test_of_many_who_take_turns_one_works_at_a_time():
    turn, at_work, most, writes = Turn(), [], [], []

    def prepare():
        for _ in range(200):
            with turn.preparing():
                at_work.append(1)
                most.append(len(at_work))
                at_work.pop()

    def write():
        for _ in range(200):
            turn.want()
            with turn.writing():
                at_work.append(1)
                most.append(len(at_work))
                at_work.pop()
            writes.append(1)

    threads = [threading.Thread(target=work) for work in (prepare, prepare, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert (set(most), len(most), len(writes)) == ({1}, 600, 200)


def test_the_writer_comes_next_however_many_pieces_wait():
    turn, order = Turn(), []

    def prepare(name):
        with turn.preparing():
            order.append(name)

    with turn.preparing():
        writing = threading.Event()

        def write():
            turn.want()
            writing.set()
            with turn.writing():
                order.append("writer")

        threads = [threading.Thread(target=write)]
        threads[0].start()
        writing.wait()
        threads += [threading.Thread(target=prepare, args=(name,)) for name in "ab"]
        for thread in threads[1:]:
            thread.start()
    for thread in threads:
        thread.join(10)
    assert order[0] == "writer"
    assert sorted(order[1:]) == ["a", "b"]


def test_a_writer_that_wants_its_turn_and_does_not_take_it_holds_nobody_up_for_long():
    turn = Turn()
    turn.want()
    began = time.monotonic()
    for _ in range(3):
        with turn.preparing():
            pass
    assert time.monotonic() - began < 3 * PATIENCE_SECONDS + 1


def test_a_turn_that_ends_in_an_error_is_given_back():
    turn = Turn()
    for take in (turn.writing, turn.preparing, turn.writing):
        try:
            with take():
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    with turn.preparing():
        pass
