"""Asking witnesses to cosign a log's checkpoint, and judging what they answer.

Owns the client of the witness protocol: whom to ask, from which size, for how long, and which answers count. Remembers
the size that each witness cosigned last, in a file that may be lost: a witness tells it again (409). Never decides that
a checkpoint is believed; the trust policy does.

Invariants: a signature counts only once it verified under the key that the policy names for that witness; no witness,
however slow or false, keeps an answer from coming in time, or costs more than one thread.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from ledger import witness
from ledger.checkpoint import Checkpoint
from ledger.errors import SignatureError
from ledger.log import Log
from ledger.note import Signature, VerifierKey, open_note
from ledger.private_files import write_private
from ledger.strict import read_decimal
from ledger.trust_policy import Party, TrustPolicy
from ledger.witness import Request
from tools.files import written

TIMEOUT = 10.0
"""Seconds that a witness may be silent."""
PATIENCE = 15.0
"""Seconds in which witnesses must have answered; who has not by then counts as unreachable."""
GRACE = 1.0
"""Seconds that the rest of them are waited for once the quorum is reached."""
_MAX_ANSWER = 100_000
_TRIES = 3
_LATE = "it has not answered in time"
_LOOK_SECONDS = 0.2
"""Between two looks whether it is time to stop."""
WITNESSED = "witnessed.checkpoint"
"""The last checkpoint that reached its quorum, in a ledger's folder."""

Prove = Callable[[int, int], list[bytes]]
"""Gives the consistency proof between two sizes of the log."""


class HTTPAnswer(NamedTuple):
    """What came back over HTTP."""

    status: int
    body: bytes


Ask = Callable[[str, bytes], HTTPAnswer]
"""Posts a body to a URL. Raises ``OSError`` when nothing comes back."""


class Answer(Struct, frozen=True):
    """What came of asking one witness; ``detail`` says why it did not cosign."""

    name: str
    outcome: Literal["cosigned", "refused", "unreachable"]
    detail: str = ""


class Collected(NamedTuple):
    """The checkpoint with all cosignatures that count, the answers by witness, and whether the quorum is reached."""

    note: bytes
    answers: list[Answer]
    agreed: bool


class Sizes:
    """The size that each witness cosigned last, by its key, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._sizes: dict[str, int] = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.MsgspecError):  # only a matter of one more request
            self._sizes = {}

    def of(self, key: VerifierKey) -> int:
        """The size to begin a proof from; 0 when nothing is known."""
        return self._sizes.get(str(key), 0)

    def keep(self, sizes: Mapping[VerifierKey, int]) -> None:
        """Remember these sizes."""
        self._sizes |= {str(key): size for key, size in sizes.items()}
        write_private(self._path, msgspec.json.encode(self._sizes))


class _Asked(NamedTuple):
    """The outcome of one witness before all are put together."""

    answer: Answer
    signatures: tuple[Signature, ...] = ()


def post(url: str, body: bytes) -> HTTPAnswer:
    """Post to a witness, following no redirects. Raises ``OSError``, whatever is wrong with the URL or the answer."""
    if not url.startswith(("https://", "http://")):
        raise OSError(f"{url[:100]!r} is no http or https URL")
    try:
        return _post(url, body)
    except (HTTPException, ValueError) as error:  # which the library raises for what is no HTTP, and for no URL
        raise OSError(f"it does not speak HTTP: {type(error).__name__}") from error


def _post(url: str, body: bytes) -> HTTPAnswer:
    request = urllib.request.Request(url, body, {"Content-Type": "text/plain; charset=utf-8"})  # noqa: S310 - checked
    opener = urllib.request.build_opener(_NoRedirect)
    until = time.monotonic() + TIMEOUT
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return HTTPAnswer(answer.status, _read(answer, until))
    except urllib.error.HTTPError as error:
        with error:
            return HTTPAnswer(error.code, _read(error, until))


def _read(answer: Any, until: float) -> bytes:
    """The body, as far as it is of use; one that comes byte by byte is not waited for."""
    body = b""
    while len(body) < _MAX_ANSWER and (part := answer.read1(_MAX_ANSWER - len(body))):
        body += part
        if time.monotonic() > until:
            raise TimeoutError(f"its answer took more than {TIMEOUT:g} s")
    return body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Refuse: a cosignature comes from the place that the policy names."""


class Witnesses:
    """The witnesses of a policy, as they are asked again and again for one log."""

    def __init__(
        self, policy: TrustPolicy, sizes: Sizes, ask: Ask = post, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """Those of the policy that have a URL are asked, until ``stopping`` says so."""
        self._policy = policy
        self._sizes = sizes
        self._ask = ask
        self._stopping = stopping
        self._parties = {name: party for name, party in policy.witnesses.items() if party.url}
        self._busy: set[str] = set()  # names of those that have not answered yet, maybe since an earlier time

    def collect(self, checkpoint: Checkpoint, note: bytes, prove: Prove) -> Collected:
        """Ask all at once to cosign ``note``, which states ``checkpoint``; returns in ``PATIENCE`` at the latest.

        A witness that still owes an earlier answer is not asked again. Raises what ``prove`` raises.
        """
        answers: Queue[tuple[str, _Asked | Exception]] = Queue()
        asked = [name for name in self._parties if name not in self._busy]
        for name in asked:
            self._busy.add(name)
            arguments = (name, checkpoint, note, prove, answers)
            Thread(target=self._answer, args=arguments, name=f"witness {name}", daemon=True).start()
        found = self._gather(len(asked), answers)
        cosigned = [name for name, one in found.items() if one.signatures]
        keys = [self._parties[name].key for name in cosigned]
        self._sizes.keep(dict.fromkeys(keys, checkpoint.size))
        signatures = [signature for name in cosigned for signature in found[name].signatures]
        told = [found[name].answer if name in found else Answer(name, "unreachable", _LATE) for name in self._parties]
        return Collected(witness.with_cosignatures(note, signatures), told, self._policy.agreed(keys))

    def _gather(self, count: int, answers: Queue[tuple[str, _Asked | Exception]]) -> dict[str, _Asked]:
        """The answers that come in time, by name."""
        until = time.monotonic() + PATIENCE
        found: dict[str, _Asked] = {}
        agreed = False
        while len(found) < count and (left := until - time.monotonic()) > 0 and not self._stopping():
            try:
                name, one = answers.get(timeout=min(left, _LOOK_SECONDS))
            except Empty:
                continue
            if isinstance(one, Exception):
                raise one
            found[name] = one
            keys = [self._parties[each].key for each, asked in found.items() if asked.signatures]
            if not agreed and self._policy.agreed(keys):
                agreed = True
                until = min(until, time.monotonic() + GRACE)
        return found

    def _answer(
        self,
        name: str,
        checkpoint: Checkpoint,
        note: bytes,
        prove: Prove,
        answers: Queue[tuple[str, _Asked | Exception]],
    ) -> None:
        """The life of the thread that asks one witness."""
        party = self._parties[name]
        try:
            answers.put((name, _ask(name, party, checkpoint, note, prove, self._sizes.of(party.key), self._ask)))
        except Exception as error:  # noqa: BLE001 - raised again by whoever collects
            answers.put((name, error))
        finally:
            self._busy.discard(name)


def _ask(name: str, party: Party, checkpoint: Checkpoint, note: bytes, prove: Prove, old: int, ask: Ask) -> _Asked:
    url = f"{(party.url or '').removesuffix('/')}/add-checkpoint"
    for _ in range(_TRIES):  # somebody else may ask it for the same log meanwhile
        if old > checkpoint.size:
            return _Asked(Answer(name, "refused", f"it has cosigned a tree of {old}, this one has {checkpoint.size}"))
        proof = prove(old, checkpoint.size) if 0 < old < checkpoint.size else []
        try:
            status, body = ask(url, witness.format_request(Request(old, tuple(proof), note)))
        except OSError as error:
            return _Asked(Answer(name, "unreachable", str(error)))
        if status == HTTPStatus.OK:
            return _counted(name, party.key, note, body)
        if status != HTTPStatus.CONFLICT:
            return _Asked(Answer(name, "refused", f"{status}: {body[:200].decode(errors='replace').strip()}"))
        try:
            told = read_decimal(body.decode("ascii").removesuffix("\n"))
        except ValueError:
            return _Asked(Answer(name, "refused", "it answered 409 without the size it has cosigned"))
        if told == old:
            return _Asked(Answer(name, "refused", f"it has cosigned another tree of {old}"))
        old = told
    return _Asked(Answer(name, "refused", "it is asked for this log by others all the time"))


def _counted(name: str, key: VerifierKey, note: bytes, body: bytes) -> _Asked:
    """The signature of the witness's own key in its answer, if it is there and verifies."""
    try:
        found = [one for one in witness.parse_cosignatures(body) if (one.name, one.key_id) == (key.name, key.key_id)]
        if not found:
            return _Asked(Answer(name, "refused", f"it answered without a signature of {key.name}+{key.key_id.hex()}"))
        open_note(witness.with_cosignatures(note, found), [key])
    except SignatureError as fault:
        return _Asked(Answer(name, "refused", f"its answer does not verify: {fault}"))
    return _Asked(Answer(name, "cosigned"), tuple(found))


def collect(log: Log, folder: Path, witnesses: Witnesses) -> tuple[Checkpoint, Collected]:
    """Have a log's checkpoint cosigned as it stands; what reaches the quorum is kept in the ledger's folder.

    Raises ``ForkError``, ``StoreError``, ``OSError``.
    """
    checkpoint, note = log.checkpoint()
    collected = witnesses.collect(checkpoint, note, log.consistency)
    if collected.agreed:
        with written(folder / WITNESSED) as file:
            file.write(collected.note)
    return checkpoint, collected


def witnesses_of(policy: TrustPolicy, folder: Path, stopping: Callable[[], bool] = lambda: False) -> Witnesses:
    """The witnesses of a policy, for the ledger in a folder, where it is remembered what they know."""
    return Witnesses(policy, Sizes(folder / "witnesses.json"), stopping=stopping)
