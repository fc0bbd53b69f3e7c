"""A witness's server under whoever may talk to it: every answer of the protocol, races, kills, and hostile clients."""

import http.client
import itertools
import random
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.merkle import consistency_ranges, leaf_hash, root_of
from ledger.note import Ed25519Signer, Note, format_note, open_note
from ledger.strict import write_base64
from ledger.witness import MAX_REQUEST, Request, format_request
from tests.support.witnesses import serving
from tools.witness import Witness

LEAVES = [leaf_hash(b"%d" % number) for number in range(200)]
OTHERS = [leaf_hash(b"other %d" % number) for number in range(200)]
QUICK = "import api.witness; api.witness.BODY_SECONDS = 0.5"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real witness in a process of its own, which waits half a second for a body."""
    with serving(tmp_path_factory.mktemp("witness") / "w", before=QUICK) as one:
        yield one


class Asked:
    """A log of two histories, and the requests that it makes of a witness."""

    def __init__(self, witness, origin=None):
        self.origin = origin or f"ledger.example/log-{next(_numbers)}"
        self.signer = Ed25519Signer(self.origin, b"\5" * 32)
        self.witness = witness

    def known(self):
        self.witness.know([self.signer.key])
        return self

    def note(self, size, leaves=LEAVES):
        return sign_checkpoint(Checkpoint(self.origin, size, root_of(leaves[:size])), [self.signer])

    def add(self, old, new, leaves=LEAVES, *, proof=None, note=None):
        ranges = consistency_ranges(old, new) if 0 < old < new else []
        hashes = tuple(root_of(leaves[low:high]) for low, high in ranges) if proof is None else proof
        return send(self.witness, format_request(Request(old, hashes, note or self.note(new, leaves))))

    def last(self):
        """What the witness shows to monitors, verified; None before the first."""
        status, _, body = get(self.witness, f"/{sha256(self.origin.encode()).hexdigest()}/checkpoint")
        if status == 404:
            return None
        keys = [self.signer.key, *Witness(self.witness.folder).keys]
        assert len(open_note(body, keys).verified) == 3
        return open_checkpoint(body, keys)


def connected(witness):
    parts = urlsplit(witness.address)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)


def send(witness, body, method="POST", path="/add-checkpoint"):
    """Status, content type and body of the answer."""
    connection = connected(witness)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def get(witness, path):
    return send(witness, None, "GET", path)


@pytest.fixture
def log(served):
    return Asked(served).known()


# --- Every answer ----------------------------------------------------------------------------------------------------


def test_200_is_cosigned_by_both_keys_and_remembered(served, log):
    for old, new in ((0, 0), (0, 5), (5, 5), (5, 9)):
        status, kind, body = log.add(old, new)
        assert (status, kind) == (200, "text/plain; charset=utf-8")
        note = log.note(new) + body
        opened = open_note(note, [log.signer.key, *Witness(served.folder).keys])
        assert len(opened.verified) == 3
        assert all(abs(stated - time.time()) < 60 for stated in opened.times[1:])
        assert log.last().size == new


def test_404_for_a_log_that_is_not_known_and_nothing_is_kept_of_it(served):
    before = sorted(path.name for path in served.folder.iterdir())
    assert Asked(served).add(0, 5)[0] == 404
    assert sorted(path.name for path in served.folder.iterdir()) == before


def test_403_for_a_signature_by_nobody_known_or_a_false_one(served, log):
    stranger = Asked(served, log.origin)
    stranger.signer = Ed25519Signer(log.origin, b"\6" * 32)
    assert stranger.add(0, 5)[0] == 403
    root = {leaves is LEAVES: write_base64(root_of(leaves[:5])).encode() for leaves in (LEAVES, OTHERS)}
    assert log.add(0, 5, note=log.note(5).replace(root[True], root[False]))[0] == 403
    assert log.last() is None


def test_409_tells_the_size_cosigned_last_as_the_protocol_spells_it(log):
    assert log.add(3, 5) == (409, "text/x.tlog.size", b"0\n")
    log.add(0, 5)
    for old in (0, 4):
        assert log.add(old, 9) == (409, "text/x.tlog.size", b"5\n")
    assert log.add(2, 3) == (409, "text/x.tlog.size", b"5\n")
    assert log.last().size == 5


def test_422_for_what_does_not_extend_the_last_tree(log):
    assert log.add(0, 5, proof=(LEAVES[0],))[0] == 422
    log.add(0, 5)
    assert log.add(5, 9, OTHERS)[0] == 422
    assert log.add(5, 9, proof=())[0] == 422
    assert log.add(5, 5, OTHERS)[0] == 422
    assert log.add(5, 5, proof=(LEAVES[0],))[0] == 422
    text = f"{log.origin}\n0\n{write_base64(LEAVES[0])}\n"
    assert log.add(0, 0, note=format_note(Note(text, (log.signer.sign(text),))))[0] == 422
    assert (log.last().size, log.last().root) == (5, root_of(LEAVES[:5]))


def test_400_for_an_old_size_above_the_new_and_for_extension_lines(log):
    assert log.add(6, 5, proof=())[0] == 400
    text = Checkpoint(log.origin, 5, root_of(LEAVES[:5]), ("more",)).body()
    assert log.add(0, 5, note=format_note(Note(text, (log.signer.sign(text),))))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"old 0\n",
        b"old 0\n\n",
        b"old 00\n\n%s",
        b"old +0\n\n%s",
        b"old 0 \n\n%s",
        b"old 99999999999999999999\n\n%s",
        b"OLD 0\n\n%s",
        b"old 0\r\n\r\n%s",
        b"old 0\nAAAA\n\n%s",
        b"old 0\n\xff\n\n%s",
        b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\n%s",
        b"old 0\n\n\x00%s",
        b"old 0\n\n%s" + b"\xe2\x80\x94 a AAAAAAA=\n" * 200,
    ],
)
def test_400_for_what_is_no_request(log, body):
    assert send(log.witness, body.replace(b"%s", log.note(5)))[0] == 400
    assert log.last() is None


def test_other_methods_and_paths_are_answered_as_such(served):
    assert get(served, "/add-checkpoint")[0] == 405
    assert send(served, b"", path="/")[0] == 405
    for path in (
        "/name",
        "/logs/checkpoint",
        f"/{'A' * 64}/checkpoint",
        f"/{'0' * 64}/checkpoint",
        "/../logs/checkpoint",
    ):
        assert get(served, path)[0] == 404


# --- Hostile clients -------------------------------------------------------------------------------------------------


def raw(served):
    parts = urlsplit(served.address)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def first_line(connection):
    return connection.makefile("rb").readline()


def test_413_as_soon_as_too_much_has_come_without_waiting_for_the_end(served):
    with raw(served) as connection:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"%x\r\n" % (MAX_REQUEST + 1) + b"x" * (MAX_REQUEST + 1))  # no end is ever sent
        answer = connection.makefile("rb")
        assert b"413" in answer.readline()
        assert b"connection: close\r\n" in iter(answer.readline, b"\r\n")


def test_408_for_a_body_that_does_not_come_and_others_are_answered_meanwhile(served, log):
    with raw(served) as slow:
        slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold 0\n")
        assert log.add(0, 5)[0] == 200
        assert b"408" in first_line(slow)


def test_a_client_that_hangs_up_costs_nothing(served, log):
    for _ in range(5):
        with raw(served) as connection:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold 0\n")
    assert log.add(0, 5)[0] == 200


def test_many_silent_clients_do_not_keep_a_log_from_its_cosignature(served, log):
    silent = [raw(served) for _ in range(50)]
    try:
        for connection in silent:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 9\r\n\r\n")
        began = time.monotonic()
        assert log.add(0, 5)[0] == 200
        assert time.monotonic() - began < 10
    finally:
        for connection in silent:
            connection.close()


def test_a_connection_may_be_kept_for_many_requests(served, log):
    connection = connected(served)
    for new in range(1, 6):
        ranges = consistency_ranges(new - 1, new) if new > 1 else []
        proof = tuple(root_of(LEAVES[low:high]) for low, high in ranges)
        connection.request("POST", "/add-checkpoint", format_request(Request(new - 1, proof, log.note(new))))
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    connection.close()


# --- Races and kills -------------------------------------------------------------------------------------------------


def race(log, seed, until, cosigned):
    """Grow one of two histories by chance until told to stop, and note all that was cosigned."""
    generator = random.Random(seed)
    leaves = (LEAVES, OTHERS)[seed % 2]
    old = 0
    while not until.is_set():
        new = min(old + generator.randrange(4), 200)
        try:
            status, _, body = log.add(old, new, leaves)
        except (OSError, http.client.HTTPException):
            return  # it was killed
        if status == 200:
            cosigned.append((new, root_of(leaves[:new])))
            old = new
        elif status == 409:
            old = int(body)
        else:
            assert status == 422, status  # the other history won
            old = generator.randrange(max(old, 1))


def judge(log, cosigned):
    """All that was cosigned is one history, and the witness remembers its largest tree or a larger one of it."""
    last = log.last()
    trees = {*cosigned, *([(last.size, last.root)] if last else [])}
    leaves = LEAVES if all(root == root_of(LEAVES[:size]) for size, root in trees) else OTHERS
    assert [one for one in trees if one[1] != root_of(leaves[: one[0]])] == []
    assert last is None or last.size >= max((size for size, _ in cosigned), default=0)
    assert last is not None or not cosigned


def test_racing_requests_are_cosigned_as_one_history_that_only_grows(log):
    until, cosigned = threading.Event(), []
    with ThreadPoolExecutor(6) as pool:
        racers = [pool.submit(race, log, seed, until, cosigned) for seed in range(6)]
        time.sleep(1.5)
        until.set()
        for one in racers:
            one.result()
    assert len(cosigned) > 10
    judge(log, cosigned)


CUT = """
import os, signal
from pathlib import Path
replace = Path.replace
def cut(path, target):
    if str(target).endswith(".checkpoint") and Path("{flag}").exists():
        if {done}:
            replace(path, target)
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)
Path.replace = cut
"""


@pytest.mark.parametrize("done", [False, True], ids=["before-it-is-kept", "before-it-is-answered"])
def test_a_kill_around_the_write_loses_no_cosignature_and_forgets_no_tree(tmp_path, done):
    flag = tmp_path / "now"
    with serving(tmp_path / "w", before=CUT.format(flag=flag, done=done)) as one:
        log = Asked(one).known()
        assert log.add(0, 5)[0] == 200
        flag.touch()
        with pytest.raises((OSError, http.client.HTTPException)):
            log.add(5, 9)
        assert one.process.wait(30) == -signal.SIGKILL
    with serving(tmp_path / "w") as one:
        log.witness = one
        assert log.last().size == (9 if done else 5)
        assert log.add(5, 9)[0] == (409 if done else 200)
        assert log.add(9, 9, OTHERS)[0] == 422
        assert log.add(9, 9)[0] == 200


@pytest.mark.slow
def test_kills_at_any_moment_leave_one_history(tmp_path):
    cosigned, log = [], None
    for number in range(12):
        with serving(tmp_path / "w") as one:
            log = log or Asked(one).known()
            log.witness = one
            judge(log, cosigned)
            until = threading.Event()
            with ThreadPoolExecutor(6) as pool:
                racers = [pool.submit(race, log, seed, until, cosigned) for seed in range(6)]
                time.sleep(random.Random(number).random())
                one.process.kill()
                until.set()
                for each in racers:
                    each.result()
    with serving(tmp_path / "w") as one:
        log.witness = one
        judge(log, cosigned)
    assert cosigned


def test_sigterm_ends_it_soon_whatever_clients_are_doing(tmp_path):
    with serving(tmp_path / "w", before=QUICK) as one, raw(one) as silent, raw(one) as slow, raw(one) as idle:
        silent.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost:")
        slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold 0\n")
        idle.sendall(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
        assert b"200" in first_line(idle)
        one.process.terminate()
        assert one.process.wait(20) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_what_fails_inside_is_told_to_the_operator_and_not_to_the_client(tmp_path):
    with serving(tmp_path / "w") as one:
        log = Asked(one).known()
        assert log.add(0, 5)[0] == 200
        (kept,) = one.folder.glob("*.checkpoint")
        kept.write_bytes(b"damaged")
        status, _, body = log.add(5, 9)
        assert (status, re.search(rb"witness can't answer", body) is not None) == (503, True)
        assert str(tmp_path).encode() not in body
        assert kept.read_bytes() == b"damaged"
