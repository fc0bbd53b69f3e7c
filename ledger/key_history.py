"""Which signing keys of a ledger held when: the generations of its keys, each made by a rotation from the one before.

Owns the rules: a rotation follows if it retires just the keys that hold, brings keys that never held, and is signed by
all of them; a generation signs trees up to that which ends in its own rotation, and the next signs from that same tree
on. So exactly one tree, the *bridge*, is signed by both. Pure: reads no store and no file.

Invariant: a checkpoint that a history opens is signed by a key that held at its size, and by no other of the log's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import decode
from ledger.errors import LedgerError, MalformedRotation, RetiredKey, SignatureError
from ledger.note import VerifierKey, parse_note
from ledger.rotation import Rotation, is_rotation


@dataclass(frozen=True, slots=True)
class Generation:
    """Keys that held together: for trees of ``first`` to ``last`` leaves, without a last one while they hold."""

    keys: tuple[VerifierKey, ...]
    first: int = 0
    last: int | None = None

    def holds_at(self, size: int) -> bool:
        """Whether these keys may sign a tree of this size."""
        return self.first <= size and (self.last is None or size <= self.last)


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """The generations of one ledger's keys, from the first that is known on.

    ``trusted`` are the keys that the verifier has got by another way: of a generation with any of them, the others
    count for nothing. Those among them of other names, such as witnesses', are verified where they have signed.
    """

    generations: tuple[Generation, ...]
    trusted: tuple[VerifierKey, ...] = ()

    @classmethod
    def beginning(cls, created: bytes, trusted: Sequence[VerifierKey] = ()) -> KeyHistory:
        """The history that the entry ``ledger.created`` begins. Raises ``SignatureError`` when it names no keys."""
        try:
            event = decode(created).event
            if event.type != "ledger.created":
                raise MalformedRotation(f"the log begins with {event.type}, which names no keys to begin with")
            keys = tuple(VerifierKey.parse(str(key)) for key in event.public()["verifier_keys"])
        except SignatureError:
            raise
        except (LedgerError, KeyError, TypeError) as fault:
            raise MalformedRotation(f"the log's first entry names no verifier keys: {fault}") from None
        return cls((Generation(keys),), tuple(trusted))

    @classmethod
    def of_entries(cls, entries: Sequence[bytes], trusted: Sequence[VerifierKey] = ()) -> KeyHistory:
        """The history that the entries of the ledger's own stream tell, from its first. Raises ``SignatureError``."""
        if not entries:
            raise MalformedRotation("the log has no first entry, which would name its keys")
        history = cls.beginning(entries[0], trusted)
        for entry in entries[1:]:
            if is_rotation(entry):
                history = history.follow(Rotation.of_entry(entry))
        return history

    @classmethod
    def trusting(cls, keys: Sequence[VerifierKey]) -> KeyHistory:
        """The history of keys of which nothing else is known: they hold at every size."""
        return cls((Generation(tuple(keys)),), tuple(keys))

    @classmethod
    def following(cls, trusted: Sequence[VerifierKey], rotations: Iterable[Rotation]) -> KeyHistory:
        """The history from trusted keys on, by rotations in their order; those before these keys are passed over.

        The keys may be of several generations. Raises ``RetiredKey`` when the rotations don't say what became of them,
        and as ``follow`` does.
        """
        history = cls((), tuple(trusted))
        known = set(trusted)
        last: Rotation | None = None
        for rotation in rotations:
            if last is not None and (rotation.retired != last.keys or rotation.size <= last.size):
                raise MalformedRotation(f"the rotation at position {rotation.size:,} does not follow the one before it")
            if not history.generations and known & set(rotation.retired):
                history = cls((Generation(rotation.retired),), tuple(trusted))
            if history.generations:
                history = history.follow(rotation)
            last = rotation
        if not history.generations and last is not None and known & set(last.keys):
            history = cls((Generation(last.keys, last.size + 1),), tuple(trusted))
        if last is None or not known & history.keys or not _of(last.origin, trusted) <= history.keys:
            raise RetiredKey(
                "the rotations don't say what became of the keys that are trusted: none of them retires these keys",
                advice="get the rotations of the ledger that your keys are of: continuity keys export-public --history",
            )
        return history

    @property
    def current(self) -> Generation:
        """The keys that hold now."""
        return self.generations[-1]

    @property
    def keys(self) -> set[VerifierKey]:
        """All keys that ever held."""
        return {key for generation in self.generations for key in generation.keys}

    def follow(self, rotation: Rotation) -> KeyHistory:
        """The history with one rotation more. Raises ``MalformedRotation`` if it does not follow, ``BadSignature``."""
        if rotation.retired != self.current.keys:
            raise MalformedRotation(
                f"the rotation at position {rotation.size:,} retires other keys than those that hold there",
                advice="it is of another ledger, was replayed, or one before it is missing",
            )
        if rotation.size < self.current.first:
            raise MalformedRotation(f"the rotation at position {rotation.size:,} stands before the one it follows")
        material = {(key.type, key.key) for key in self.keys}
        if any((key.type, key.key) in material for key in rotation.keys):
            raise MalformedRotation(f"the rotation at position {rotation.size:,} brings back a key that was retired")
        rotation.verify()
        end = rotation.size + 1
        *earlier, current = self.generations
        return replace(self, generations=(*earlier, replace(current, last=end), Generation(rotation.keys, end)))

    def keys_for(self, note: bytes) -> list[VerifierKey]:
        """The keys to open this checkpoint with: those that held at the size that it states.

        Raises ``MalformedNote``, and ``RetiredKey`` when a key has signed it that did not hold there, whoever else has.
        """
        parsed = parse_note(note)
        size = Checkpoint.parse(parsed.text).size
        signers = {(one.name, one.key_id) for one in parsed.signatures}
        holding: list[VerifierKey] = []
        for generation in self.generations:
            if generation.holds_at(size):
                ours = [key for key in generation.keys if key in self.trusted]
                holding += ours or generation.keys
                continue
            for key in generation.keys:
                if (key.name, key.key_id) in signers:
                    raise _retired(key, generation, size)
        origins = {key.name for key in self.keys}
        return [*holding, *(key for key in self.trusted if key.name not in origins)]

    def open(self, note: bytes) -> Checkpoint:
        """Verify a signed checkpoint by the keys that held at its size. Raises ``SignatureError`` (a child of it)."""
        return open_checkpoint(note, self.keys_for(note))


def _of(origin: str, keys: Sequence[VerifierKey]) -> set[VerifierKey]:
    return {key for key in keys if key.name == origin}


def _retired(key: VerifierKey, generation: Generation, size: int) -> SignatureError:
    name = f"{key.name}+{key.key_id.hex()}"
    if generation.last is not None and size > generation.last:
        return RetiredKey(
            f"a tree of {size:,} entries is signed by {name}, which was retired by the entry at position "
            f"{generation.last - 1:,} and signs no tree above {generation.last:,}",
            advice="somebody else has the retired key; keep the note as evidence, and believe nothing of it",
        )
    return RetiredKey(
        f"a tree of {size:,} entries is signed by {name}, which holds only from the entry at position "
        f"{generation.first - 1:,} on"
    )


Trust = Sequence[VerifierKey] | KeyHistory
"""What a verifier goes by: keys that hold at every size, or a history of keys."""


def open_by(trust: Trust, note: bytes) -> Checkpoint:
    """Verify a signed checkpoint by what is trusted. Raises ``SignatureError`` (a child of it)."""
    return trust.open(note) if isinstance(trust, KeyHistory) else open_checkpoint(note, trust)
