from projections.turns import Turns


def at(position):
    return frozenset({("tally", 1, position)})


def test_who_folded_last_goes_on_at_once():
    turns = Turns(patience=60)
    assert not turns.ours(at(0))
    turns.left(at(5))
    assert turns.ours(at(5))
    assert not turns.ours(at(6))


def test_another_that_stands_still_is_taken_over_from_after_a_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("projections.turns.time.monotonic", lambda: now)
    turns = Turns(patience=2)
    assert not turns.ours(at(1))
    now += 1.5
    assert not turns.ours(at(2))  # it moved meanwhile
    now += 1.5
    assert not turns.ours(at(2))
    now += 0.5
    assert turns.ours(at(2))


def test_one_that_goes_back_to_where_we_left_it_is_ours():
    turns = Turns(patience=60)
    turns.left(at(3))
    assert not turns.ours(at(4))
    assert turns.ours(at(3))
