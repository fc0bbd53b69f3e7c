"""Asking witnesses to cosign a log's checkpoint, and judging what they answer.

Owns the client of the witness protocol: whom to ask, from which size, and which answers count. Remembers the size that
each witness cosigned last, in a file that may be lost: a witness tells it again (409). Never decides that a checkpoint
is believed; the trust policy does.

Invariant: a signature counts only once it verified under the key that the policy names for that witness.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from ledger import witness
from ledger.checkpoint import Checkpoint
from ledger.errors import SignatureError
from ledger.note import Signature, VerifierKey, open_note
from ledger.private_files import write_private
from ledger.strict import read_decimal
from ledger.trust_policy import Party, TrustPolicy
from ledger.witness import Request

TIMEOUT = 10.0
"""Seconds that one request to a witness may take."""
_MAX_ANSWER = 100_000
_TRIES = 3
_MOST_AT_ONCE = 8

Prove = Callable[[int, int], list[bytes]]
"""Gives the consistency proof between two sizes of the log."""


class HTTPAnswer(NamedTuple):
    """What came back over HTTP."""

    status: int
    body: bytes


Ask = Callable[[str, bytes], HTTPAnswer]
"""Posts a body to a URL. Raises ``OSError`` when nothing comes back."""


class Answer(NamedTuple):
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


def collect(
    policy: TrustPolicy, checkpoint: Checkpoint, note: bytes, prove: Prove, sizes: Sizes, ask: Ask = post
) -> Collected:
    """Ask every witness of the policy that has a URL to cosign ``note``, which states ``checkpoint``; all at once."""
    parties = {name: party for name, party in policy.witnesses.items() if party.url}
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        asking = [
            pool.submit(_ask, name, party, checkpoint, note, prove, sizes.of(party.key), ask)
            for name, party in parties.items()
        ]
        asked = [one.result() for one in asking]
    cosigners = [party.key for party, one in zip(parties.values(), asked, strict=True) if one.signatures]
    sizes.keep(dict.fromkeys(cosigners, checkpoint.size))
    signatures = [signature for one in asked for signature in one.signatures]
    cosigned = witness.with_cosignatures(note, signatures)
    return Collected(cosigned, [one.answer for one in asked], policy.agreed(cosigners))


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
            old = read_decimal(body.decode("ascii").removesuffix("\n"))
        except ValueError:
            return _Asked(Answer(name, "refused", "it answered 409 without the size it has cosigned"))
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
