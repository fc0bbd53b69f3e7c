"""The judge of the soak finds what it is there for; a soak that could not fail would prove nothing."""

from hashlib import sha256

import pytest

from ledger.store.protocol import Row
from tests.soak.__main__ import soak, table
from tests.soak.judge import Judge
from tests.soak.trial import Result
from tests.soak.workload import batch, size_of

IDS = [f"w1-{number}-{part}" for number in range(4) for part in range(size_of(number))]


def rows(ids):
    return [Row(position, b'{"event":{"id":"%b"}}' % name.encode()) for position, name in enumerate(ids)]


def promised(ids):
    """A judge with the answers to the batches of a log."""
    judge = Judge()
    receipts = {}
    for row, name in zip(rows(ids), ids, strict=True):
        writer, number, _ = name.split("-")
        receipts.setdefault((writer, int(number)), []).append(
            (row.position, sha256(b"\x00" + row.entry).digest(), False)
        )
    for (writer, number), answer in receipts.items():
        judge.promised(writer, number, answer)
    return judge


def test_a_log_that_holds_what_was_promised_is_content():
    judge = promised(IDS)
    judge.hold_against(rows(IDS))
    assert judge.content
    assert (judge.receipts, judge.next_of("w1"), judge.next_of("w2")) == (len(IDS), 4, 0)


def test_a_batch_without_an_answer_may_be_there_as_a_whole_and_not_in_part():
    judge = promised(IDS[:1])
    judge.hold_against(rows(IDS[:4]))
    assert judge.content
    judge = promised(IDS[:1])
    judge.hold_against(rows(IDS[:3]))
    assert (judge.halves, judge.content) == (1, False)


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (IDS[:-1], "lost"),
        ([*IDS, IDS[3]], "doubled"),
        ([*IDS, "begin-0-1", "begin-0-1"], "doubled"),
        ([IDS[1], IDS[0], *IDS[2:]], "false"),
    ],
)
def test_what_is_lost_doubled_or_moved_is_counted(ids, kind):
    judge = promised(IDS)
    judge.hold_against(rows(ids))
    assert getattr(judge, kind) > 0
    assert not judge.content


def test_an_answer_that_differs_from_the_first_is_false():
    judge = promised(IDS)
    again = [(row.position, sha256(b"\x00" + row.entry).digest(), True) for row in rows(IDS)]
    judge.promised("w1", 0, again[:1])
    assert (judge.content, judge.duplicates) == (True, 1)
    judge.promised("w1", 0, again[1:2])
    assert (judge.content, judge.false) == (False, 1)


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    for number in range(20):
        assert batch("w1", number) == batch("w1", number)
        assert len(batch("w1", number)) == size_of(number)


def test_the_table_has_a_line_for_each_store():
    line = Result("SQLite", 1234567, 9, 0, 3, 1234000, 77, 0, 0, "ok", True)
    head, first = table([line]).splitlines()
    assert head.split()[0] == "store"
    assert first.split() == ["SQLite", "1,234,567", "9", "0", "3", "1,234,000", "77", "0", "0", "ok"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_soak_of_half_a_minute_keeps_every_promise():
    results = soak(30, seed=7)
    assert all(result.content for result in results), table(results)
    assert all(result.kills > 3 for result in results)
