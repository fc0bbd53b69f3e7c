"""Whatever is fed to ``append``: good lines get in once, bad ones are named, and nothing breaks it."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path

import pytest

from tests.acceptance.conftest import Result, Run
from tests.support.events import cloud, estimate_changed, plain, requested
from tools.cli import feed

GOOD = [requested("R-1"), plain("confirmed", "R-1"), estimate_changed("R-1")]
NDJSON = b"\n".join(GOOD) + b"\n"
ARRAY = b" \n[" + b",\n ".join(GOOD) + b"]\n"
BAD = cloud("reservation.requested", "reservation:R-2", {"firing_type": "glaze"}, id="bad")


def counts(result: Result) -> tuple[int, int, int, int]:
    told = result.json
    return result.code, told["accepted"], told["duplicates"], told["rejected"]


@pytest.mark.parametrize(
    "content",
    [
        NDJSON,
        NDJSON.removesuffix(b"\n"),
        NDJSON.replace(b"\n", b"\r\n"),
        NDJSON.replace(b"\n", b"\n\n \t\n"),
        b"\xef\xbb\xbf" + NDJSON,
        ARRAY,
        b"\xef\xbb\xbf" + ARRAY,
        gzip.compress(NDJSON, mtime=0),
        gzip.compress(NDJSON[:100], mtime=0) + gzip.compress(NDJSON[100:], mtime=0),
        gzip.compress(ARRAY, mtime=0),
        gzip.compress(b"\xef\xbb\xbf" + NDJSON, mtime=0),
    ],
    ids=[
        "lines",
        "no-last-lf",
        "crlf",
        "blanks",
        "bom",
        "array",
        "bom-array",
        "gz",
        "gz-members",
        "gz-array",
        "gz-bom",
    ],
)
@pytest.mark.parametrize("atomic", [False, True], ids=["each", "atomic"])
def test_every_form_of_input_is_taken_from_file_and_pipe(
    studio: Run, tmp_path: Path, content: bytes, atomic: bool
) -> None:
    (tmp_path / "events").write_bytes(content)
    more = ["--atomic"] if atomic else []
    assert counts(studio("append", tmp_path / "events", "--json", *more)) == (0, 3, 0, 0)
    assert counts(studio("append", "-", "--json", *more, stdin=content)) == (0, 0, 3, 0)
    assert counts(studio("append", "--json", *more, stdin=content)) == (0, 0, 3, 0)


@pytest.mark.parametrize("content", [b"", b"\n \r\n\t", b"[]", b" [ ]\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
@pytest.mark.parametrize("atomic", [(), ("--atomic",)])
def test_an_empty_input_is_fine(studio: Run, content: bytes, atomic: tuple[str, ...]) -> None:
    assert counts(studio("append", "--json", *atomic, stdin=content)) == (0, 0, 0, 0)


def test_a_bad_line_is_named_with_path_and_reason_and_the_others_get_in(studio: Run) -> None:
    result = studio("append", stdin=b"\n".join([GOOD[0], b"", BAD, b"{", GOOD[1]]))
    assert result.code == 3
    assert b"2 accepted, 0 duplicates, 2 rejected" in result.out
    (first, second) = result.err.splitlines()
    assert first.startswith("line 3: $.data")
    assert second.startswith("line 4: $: ")


def test_rejecting_everything_is_incomplete_too(studio: Run) -> None:
    assert counts(studio("append", "--json", stdin=BAD)) == (3, 0, 0, 1)


def test_rejects_go_into_a_private_file_from_which_they_can_be_mended_and_sent(studio: Run, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    result = studio("append", "--json", "--rejects", rejects, stdin=b"\n".join([GOOD[0], BAD, b"{nonsense"]))
    assert (result.code, result.err) == (3, "")
    first, second = map(json.loads, rejects.read_bytes().splitlines())
    assert (first["line"], first["path"][:6], first["event"]["id"]) == (2, "$.data", "bad")
    assert (second["line"], "event" in second) == (3, False)
    assert first["reason"]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert studio("append", "--rejects", rejects, stdin=GOOD[0]).code == 0
    assert rejects.read_bytes() == b""


def test_with_json_each_reject_on_standard_error_is_a_json_line(studio: Run) -> None:
    result = studio("append", "--json", stdin=b"\n".join([BAD, BAD.replace(b'"bad"', b'"worse"'), b"\xff"]))
    told = [json.loads(line) for line in result.err.splitlines()]
    assert [each["line"] for each in told] == [1, 2, 3]
    assert all(each["path"].startswith("$") and each["reason"] for each in told)


def test_an_element_of_an_array_is_named_by_its_line_and_its_path_in_the_document(studio: Run) -> None:
    document = b"[\n" + GOOD[0] + b",\n\n" + BAD + b"," + GOOD[1] + b"]"
    result = studio("append", "--json", stdin=document)
    assert counts(result) == (3, 2, 0, 1)
    assert (result.error["line"], result.error["path"][:9]) == (4, "$[1].data")


def test_a_broken_array_is_rejected_whole_at_the_line_where_it_breaks(studio: Run) -> None:
    result = studio("append", "--json", stdin=b"[" + GOOD[0] + b",\n" + GOOD[1] + b",\n oops]")
    assert counts(result) == (3, 0, 0, 1)
    assert result.error["line"] == 3
    assert counts(studio("append", "--json", stdin=b"[" + GOOD[0])) == (3, 0, 0, 1)
    assert counts(studio("append", "--json", stdin=b"[" * 100_000)) == (3, 0, 0, 1)


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("bad", [BAD, b"{", b" " * 3 + b"x" * (feed.MAX_LINE + 1)], ids=["invalid", "syntax", "long"])
def test_atomic_is_all_or_nothing_and_names_the_first_fault(studio: Run, at: int, bad: bytes) -> None:
    before = studio("log", "--raw").out
    result = studio("append", "--atomic", "--json", stdin=b"\n".join([*GOOD[:at], bad, *GOOD[at:], BAD]))
    assert counts(result) == (3, 0, 0, 5)
    assert [json.loads(line)["line"] for line in result.err.splitlines()] == [at + 1]
    assert studio("log", "--raw").out == before


def test_an_atomic_lifecycle_fault_names_the_line_too(studio: Run) -> None:
    result = studio("append", "--atomic", stdin=b"\n\n".join([requested("R-1"), plain("confirmed", "R-9")]))
    assert result.code == 3
    assert result.err.startswith("line 3: $")
    assert b"0 accepted" in result.out


def test_what_an_id_said_first_stands(studio: Run) -> None:
    assert studio("append", stdin=requested("R-1", id="x")).code == 0
    result = studio("append", stdin=requested("R-1", id="x", data={"half_shelves": 3}))
    assert result.code == 3
    assert result.err.startswith("line 1: $.id: ")


@pytest.mark.parametrize(
    "line",
    [
        b"\x00" * 64,
        GOOD[0].replace(b'"R-1"', b'"R\x00-1"').replace(b"R-1", b"R\x00"),
        b"\xff\xfe" + GOOD[0],
        GOOD[0].replace(b"blue", b"\xed\xa0\x80"),
        GOOD[0].replace(b"blue", b"\\ud800"),
        b'{"data":' + b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"null",
        b"17",
        b'"text"',
        b"x" * (10 * 1024 * 1024),
        GOOD[0][:-1] + b"," + b" " * (feed.MAX_LINE) + b"}",
    ],
    ids=["nul", "nul-in", "bytes", "surrogate", "escaped", "deep", "deeper", "null", "int", "str", "10MB", "padded"],
)
def test_a_hostile_line_is_rejected_and_its_neighbours_get_in(studio: Run, line: bytes) -> None:
    result = studio("append", "--json", stdin=b"\n".join([requested("R-7"), line, requested("R-8")]))
    assert counts(result) == (3, 2, 0, 1)
    assert (result.error["line"], len(result.err) < 2_000) == (2, True)


def test_an_input_that_is_cut_off_fails_after_what_it_held(studio: Run) -> None:
    whole = gzip.compress(b"\n".join(requested(f"R-{number}", notes=None) for number in range(3_000)))
    result = studio("append", "--json", stdin=whole[:-200])
    assert (result.code, result.out) == (1, b"")
    assert "does not decompress" in result.error["error"]
    assert "cut off" in result.error["error"]
    assert len(studio("log").out.splitlines()) > 1
    assert studio("append", stdin=b"\x1f\x8bnot gzip at all").code == 1


@pytest.mark.parametrize("atomic", [(), ("--atomic",)])
def test_what_must_be_held_whole_has_a_limit(studio: Run, monkeypatch: pytest.MonkeyPatch, atomic: tuple[str]) -> None:
    monkeypatch.setattr(feed, "MAX_WHOLE", 500)
    content = ARRAY if not atomic else NDJSON
    result = studio("append", "--json", *atomic, stdin=content)
    assert (result.code, result.error["exit_code"]) == (3, 3)
    assert len(studio("log").out.splitlines()) == 1


def test_a_file_that_can_not_be_read_is_a_fault_of_usage(studio: Run, tmp_path: Path) -> None:
    assert studio("append", tmp_path).code == 2
    assert studio("append", tmp_path / "none").code == 2
    (tmp_path / "events").write_bytes(NDJSON)
    assert studio("append", tmp_path / "events", "--rejects", tmp_path / "events").code == 2
    assert (tmp_path / "events").read_bytes() == NDJSON
    assert studio("append", tmp_path / "events", "--rejects", tmp_path).code == 2
    if os.geteuid() != 0:  # the superuser reads anything
        (tmp_path / "events").chmod(0)
        assert studio("append", tmp_path / "events").code == 2


def test_appending_to_a_store_that_was_rolled_back_is_refused_as_a_fork(studio: Run, data: Path) -> None:
    file = data / "studio" / "ledger.db"
    old = file.read_bytes()
    assert studio("append", stdin=NDJSON).code == 0
    assert not file.with_name("ledger.db-wal").exists(), "the copy below would not be the whole store"
    file.write_bytes(old)
    result = studio("append", "--json", stdin=requested("R-5"))
    assert (result.code, result.error["exit_code"], result.out) == (21, 21, b"")
    assert "4 was signed" in result.error["error"]
    assert studio("checkpoint").code == 21


def test_a_log_ahead_of_the_clock_is_read_only_until_an_owner_accepts_it(
    studio: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600 * 10**9)
    refused = studio("append", stdin=NDJSON)
    assert (refused.code, "--accept-clock" in refused.err) == (1, True)
    accepted = studio("append", "--accept-clock", stdin=NDJSON)
    assert (accepted.code, "behind the last entry" in accepted.err) == (0, True)
