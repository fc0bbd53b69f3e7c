"""Signing keys rotate on both stores: among other processes, against forgers, and whatever step a process dies at."""

import os
import shutil
import signal
import threading

import msgspec
import pytest

from ledger import keys as keys_module
from ledger import log as log_module
from ledger import signer as signer_module
from ledger import succession as succession_module
from ledger.audit import audit, signing
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.entry import LEDGER_STREAM
from ledger.errors import Conflict, Denied, InvalidEvent, KeyFileError, SignatureError
from ledger.event import LOCAL, SYSTEM, Credential
from ledger.key_chain import follow_chain
from ledger.keys import SEEDS, Keys
from ledger.note import parse_note
from ledger.rotation import TYPE, Rotation
from tests.integration.children import append_for_ever, start
from tests.support.events import ORIGIN, new_log, requested
from tests.support.rotations import keys, signers
from tests.support.whole import check_whole
from tools import public_keys

SECONDS = 60


def fill(log, tag, count=40):
    log.append([requested(f"{tag}-{number}", f"M-{number % 7}") for number in range(count)])


def folder_of(place):
    return place.data / "studio" / "keys"


def notes_of(log):
    with log.store.reading() as reads:
        return dict(reads.checkpoints(0))


def signers_of(note):
    return [one.key_id for one in parse_note(note).signatures]


def ids(*generations):
    return [key.key_id for generation in generations for key in generation]


def audited(log, *trusted, **options):
    report = audit(log.store, trusted or log.verifier_keys, **options)
    return report.first_fault


def test_old_and_new_keys_sign_the_bridge_and_the_old_seeds_are_destroyed(place):
    with place.create() as log:
        fill(log, "before")
        first, seeds = log.verifier_keys, [(folder_of(place) / name).read_bytes() for name in SEEDS]
        before = log.checkpoint()[0].size
        receipt = log.rotate_keys("scheduled")
        now = log.verifier_keys
        assert not set(first) & set(now)
        assert (receipt.position, receipt.stream) == (before, LEDGER_STREAM)
        stated = Rotation.of_entry(log.row(receipt.position).entry)
        stated.verify()
        assert (stated.retired, stated.keys, stated.root, stated.reason) == (first, now, log.root(before), "scheduled")
        note = notes_of(log)[before + 1]
        assert signers_of(note) == ids(first, now)
        for key in (*first, *now):
            assert open_checkpoint(note, [key]).root == log.root(before + 1)
        for name, seed in zip(SEEDS, seeds, strict=True):
            assert (folder_of(place) / name).read_bytes() != seed
        assert {path.name for path in folder_of(place).iterdir() if path.suffix == ".seed"} == set(SEEDS)
        fill(log, "after", 300)
        assert signers_of(log.checkpoint()[1]) == ids(now)
        for trusted in (first, now, first[:1], now[1:], (*first, *now)):
            assert audited(log, *trusted) is None
        assert audited(log, *first, since=[log.checkpoint()[1], note]) is None
        assert audited(log, *keys("evil")).kind == "created"
        assert audited(log, *now, *keys("evil"))[:2] == (0, "created")
        check_whole(log)


def test_the_public_chain_leads_from_the_first_keys_to_those_that_hold(place):
    with place.create() as log:
        first, second = log.verifier_keys, None
        for number in range(3):
            fill(log, f"before-{number}", 3)
            log.rotate_keys("scheduled")
            second = second or log.verifier_keys
        history, links = public_keys.read(log.store, proofs=True)
        assert history.current.keys == log.verifier_keys
        for trusted in (first, second, log.verifier_keys):
            assert follow_chain(links, trusted).current.keys == log.verifier_keys
        with pytest.raises(SignatureError):
            follow_chain([links[0], links[2]], first)
        with pytest.raises(SignatureError):
            follow_chain(links, keys("evil"))
        assert public_keys.read(log.store, proofs=False)[1] == []


def test_another_process_that_has_the_old_keys_in_memory_signs_with_the_new_ones(place):
    with place.create() as log, place.open() as other:
        fill(other, "early", 2)
        other.checkpoint()
        log.rotate_keys("scheduled")
        assert other.verifier_keys == log.verifier_keys
        fill(other, "late", 2)
        note = other.checkpoint()[1]
        assert signers_of(note) == ids(log.verifier_keys)
        assert log.checkpoint()[1] == note
        other.rotate_keys("scheduled")
        fill(log, "later", 2)
        assert signers_of(log.checkpoint()[1]) == ids(other.verifier_keys)
        assert audited(log) is None


def test_a_ledger_in_use_by_others_rotates_and_no_event_of_theirs_fails(place):
    with place.create() as log:
        fill(log, "first")
        first = log.verifier_keys
        process, pipe = start(append_for_ever, place, "other")
        pipe.recv()
        try:
            for _ in range(4):
                log.rotate_keys("scheduled")
                pipe.recv()
        finally:
            process.kill()
            process.join(30)
            pipe.close()
        fill(log, "last", 1)  # behind what a server may still commit for the process that is gone
        assert len(list(public_keys.read(log.store, proofs=False)[0].generations)) == 5
        check_whole(log)
        assert audited(log, *first) is None


def test_of_two_that_rotate_the_same_keys_at_once_one_is_refused(place):
    with place.create() as log, place.open() as other:
        fill(log, "first")
        barrier, outcomes = threading.Barrier(2), []

        def rotate(one):
            barrier.wait()
            try:
                outcomes.append(one.rotate_keys("scheduled"))
            except Conflict as refused:
                outcomes.append(refused)

        threads = [threading.Thread(target=rotate, args=(one,)) for one in (log, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        generations = public_keys.read(log.store, proofs=True)[0].generations
        assert len(outcomes) == 2
        assert len(generations) == 1 + sum(not isinstance(one, Conflict) for one in outcomes)
        assert log.verifier_keys == other.verifier_keys == generations[-1].keys
        assert audited(log) is None


def test_only_an_owner_rotates_for_a_reason_that_is_a_code(place):
    with place.create() as log:
        admin = Credential(id="ops", role="admin", actor="ops", actor_role="admin", actor_roles=frozenset({"admin"}))
        with pytest.raises(Denied, match="only an owner rotates keys"):
            log.rotate_keys("scheduled", admin)
        before = log.verifier_keys
        with pytest.raises(SignatureError, match="the reason of a rotation is a code"):
            log.rotate_keys("Because I can")
        assert log.verifier_keys == before
        assert not [path for path in folder_of(place).iterdir() if path.name.startswith("next-")]
        owner = msgspec.structs.replace(LOCAL, id="owner", actor="owner")
        position = log.rotate_keys("scheduled", owner).position
        entry = log.row(position).content()
        assert (entry.event.actor.id, entry.event.actor.role, entry.seal.by) == ("owner", "system", "owner")


# --- Forgers ----------------------------------------------------------------------------------------------------------


def posted(log, made, identifier="forged"):
    """What the ledger says to a rotation that something inside of it posts."""
    event = {
        "specversion": "1.0",
        "id": identifier,
        "source": "urn:continuity-ledger",
        "type": TYPE,
        "subject": LEDGER_STREAM,
        "time": "2026-03-01T09:30:00Z",
        "data": made.data(),
    }
    with pytest.raises(InvalidEvent) as caught:
        log.append([msgspec.json.encode(event)], SYSTEM)
    assert caught.value.path == "$.data"
    return str(caught.value)


def test_the_ledger_takes_no_rotation_that_does_not_follow_whoever_posts_it(place, tmp_path):
    with place.create() as log, new_log(tmp_path / "other") as other:
        old = Keys(folder_of(place), ORIGIN).signers
        fill(log, "first", 3)
        size = log.head().size
        root, evil = log.root(size), signers("evil")
        public, theirs = tuple(one.key for one in old), tuple(one.key for one in evil)

        def made(size=size, root=root, retired=old, new=evil):
            asked = Rotation(size, root, "scheduled", tuple(one.key for one in retired), tuple(one.key for one in new))
            return asked.signed((*retired, *new))

        right = made()
        by_new_alone = Rotation(size, root, "scheduled", public, theirs, (*right.signatures[2:], *right.signatures[2:]))
        assert "does not verify" in posted(log, by_new_alone)
        assert "retires other keys" in posted(log, made(retired=signers("stranger")))
        assert "retires other keys" in posted(log, made(retired=old[:1]))
        assert "another tree" in posted(log, made(root=bytes(32)))
        # A statement does not carry its position: at another one it is read as one of that, and does not verify.
        assert "does not verify" in posted(log, made(size=size + 1))
        other.rotate_keys("scheduled")
        replayed = Rotation.of_entry(other.row(1).entry)
        assert "another tree" in posted(log, replayed)
        assert log.head().size == size
        log.rotate_keys("scheduled")
        assert "another tree" in posted(log, Rotation.of_entry(log.row(size).entry))
        assert log.head().size == size + 1
        assert audited(log) is None


def test_a_rotation_comes_after_what_shares_its_flush(place):
    """Also in a batch of others the root is that of the tree right before it."""
    with place.create() as log:
        old, new = Keys(folder_of(place), ORIGIN).signers, signers("next")
        size = log.head().size
        asked = Rotation(
            size, log.root(size), "scheduled", tuple(one.key for one in old), tuple(one.key for one in new)
        )
        frozen = {
            "specversion": "1.0",
            "id": "frozen",
            "source": "urn:test",
            "type": "ledger.frozen",
            "subject": LEDGER_STREAM,
            "time": "2026-03-01T09:30:00Z",
            "actorrole": "admin",
            "data": {"reason": "audit"},
        }
        assert log.append([msgspec.json.encode(frozen)])[0].position == size
        assert "another tree" in posted(log, asked.signed((*old, *new)))
        assert log.rotate_keys("scheduled").position == size + 1, "a frozen ledger takes it: it is the ledger's own"


def test_a_checkpoint_by_a_retired_key_is_a_fault_of_the_audit(place):
    """Somebody has a copy of the old seeds, and the store."""
    with place.create() as log:
        stolen = Keys(folder_of(place), ORIGIN).signers
        fill(log, "first", 30)
        first, position = log.verifier_keys, log.rotate_keys("compromised").position
        fill(log, "second", 300)
        size = position + 100
        forged = sign_checkpoint(Checkpoint(ORIGIN, size, log.root(size)), stolen)
        log.store.add_checkpoint(size, forged)
        name = f"{first[0].name}+{first[0].key_id.hex()}"
        detail = (
            f"the checkpoint stored at size {size}: a tree of {size} entries is signed by {name}, which was retired by "
            f"the entry at position {position} and signs no tree above {position + 1}"
        )
        for trusted in (first, log.verifier_keys):
            for jobs in (1, 2):
                assert audited(log, *trusted, jobs=jobs) == (position + 1, "signature", detail)
        with pytest.raises(SignatureError, match="was retired"):
            audit(log.store, first, since=forged)


def test_a_copied_key_folder_from_before_signs_nothing(place, tmp_path):
    with place.create() as log:
        fill(log, "first", 3)
        log.checkpoint()
        shutil.copytree(folder_of(place), tmp_path / "copied")
        position = log.rotate_keys("scheduled").position
    shutil.rmtree(folder_of(place))
    shutil.copytree(tmp_path / "copied", folder_of(place))
    with place.open() as log:
        assert log.head().size == position + 1, "it can be read"
        with pytest.raises(KeyFileError, match=f"not those that the log announces at position {position}"):
            log.checkpoint()
        with pytest.raises(KeyFileError, match="not those that the log announces"):
            fill(log, "second", 1)
        with pytest.raises(KeyFileError):
            log.rotate_keys("scheduled")


@pytest.mark.parametrize("signed", [True, False])
def test_processes_that_help_an_audit_follow_the_keys_too_and_nothing_is_checked_twice(tmp_path, monkeypatch, signed):
    """Found by the bridges, which are stored whatever else was signed; no audit here has to look for rotations."""
    monkeypatch.setattr(signing, "_scanned", lambda source: pytest.fail("the entries were looked through"))
    monkeypatch.setattr(log_module, "SIGN_SECONDS", 1_000)
    with new_log(tmp_path) as log:
        first = log.verifier_keys
        for number in range(3):
            fill(log, f"part-{number}", 700)
            if signed:
                log.checkpoint()
            log.rotate_keys("scheduled")
        fill(log, "last", 700)
        log.checkpoint()
        for trusted in (first, log.verifier_keys):
            assert signing.hint(log.store, trusted).history.generations == log.key_history.generations
        reports = [audit(log.store, trusted, jobs=jobs) for trusted in (first, log.verifier_keys) for jobs in (1, 3)]
        assert {(report.ok, report.size, report.root) for report in reports} == {
            (True, log.head().size, reports[0].root)
        }


# --- kill -9 ----------------------------------------------------------------------------------------------------------

STEPS = ("one aside", "aside", "appended", "signed", "remembered", "kept", "one switched", "overwritten", "switched")
BEFORE = ("one aside", "aside")


def die_at(pipe, place, step):
    """Rotate the keys, and die at a step of it as by kill -9."""

    def dying(owner, name, *, before):
        run = getattr(owner, name)

        def stamped(*arguments, **options):
            if not before:
                run(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, stamped)

    log = place.open()
    steps = {
        "one aside": (keys_module, "write_private", False),
        "aside": (keys_module.Keys, "make_next", False),
        "appended": (succession_module.Succession, "_end", True),
        "signed": (signer_module.Signer, "remember", True),
        "remembered": (signer_module.Signer, "remember", False),
        "kept": (type(log.store), "add_checkpoint", False),
        "overwritten": (keys_module, "overwrite", False),
        "one switched": (keys_module, "destroy", False),
        "switched": (keys_module.Keys, "switch", False),
    }
    owner, name, before = steps[step]
    dying(owner, name, before=before)
    pipe.send("ready")
    log.rotate_keys("scheduled")


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_that_was_killed_never_was_or_is_finished_by_whoever_signs_next(place, step):
    with place.create() as log:
        fill(log, "first", 5)
        first = log.verifier_keys
        log.checkpoint()
        old = [(folder_of(place) / name).read_bytes() for name in SEEDS]
        process, pipe = start(die_at, place, step)
        process.join(SECONDS)
        pipe.close()
        assert process.exitcode == -signal.SIGKILL
        with place.open() as opened:  # before anything is finished
            fill(opened, "between", 2)
            assert audit(opened.store, first).ok
        fill(log, "second", 2)  # by one that was open all the time
        note = log.checkpoint()[1]
        history = public_keys.read(log.store, proofs=True)[0]
        assert (len(history.generations) == 1) == (step in BEFORE)
        assert history.current.keys == log.verifier_keys
        assert signers_of(note) == ids(log.verifier_keys)
        seeds = [(folder_of(place) / name).read_bytes() for name in SEEDS]
        assert (seeds == old) == (step in BEFORE)
        assert not set(old) & {path.read_bytes() for path in folder_of(place).iterdir()} or step in BEFORE
        assert not [path.name for path in folder_of(place).iterdir() if path.name.startswith("next-")]
        if step not in BEFORE:
            bridge = notes_of(log)[history.current.first]
            assert signers_of(bridge) == ids(first, log.verifier_keys)
        log.rotate_keys("scheduled")
        assert audited(log, *first) is None
        check_whole(log)


def test_a_rotation_that_found_no_room_leaves_the_old_keys(tmp_path, monkeypatch):
    with new_log(tmp_path) as log, monkeypatch.context() as patched:
        before = log.verifier_keys

        def fail(path, content):
            raise KeyFileError(f"no room to write {path}")

        patched.setattr(keys_module, "write_private", fail)
        with pytest.raises(KeyFileError, match="no room"):
            log.rotate_keys("scheduled")
        patched.undo()
        fill(log, "more", 1)
        assert signers_of(log.checkpoint()[1]) == ids(before)
