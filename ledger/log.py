"""The log: one ledger as its users see it. Append, read, prove, sign, follow.

Owns the ledger's folder (``keys/``, and ``ledger.db`` with ``index.db`` unless its store is elsewhere) and brings its
parts together: the store, the writer, the keys and the signed tree. The only way to append. Never parses HTTP or a
command line, and never holds what it could read again.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import msgspec

from ledger import moment, proving
from ledger.checkpoint import Checkpoint
from ledger.credentials import Credentials
from ledger.datakeys import DataKeys
from ledger.delay import Delay
from ledger.entry import decode
from ledger.epochs import Epochs
from ledger.errors import ForkError, NotFound, StoreUnreachable
from ledger.event import LOCAL, SYSTEM, Credential
from ledger.flush import Outcome, Receipt, Within
from ledger.key_history import KeyHistory
from ledger.keys import Keys
from ledger.making import make_ledger
from ledger.note import VerifierKey
from ledger.privacy import Opened
from ledger.private_files import locked
from ledger.request import PIECE, Late, Posted
from ledger.signed_tree import SignedTree
from ledger.signer import Signer
from ledger.store.opening import StoreURL, open_store
from ledger.store.protocol import PAGE, Head, Row, Selection, Store
from ledger.succession import Succession, created, history_of
from ledger.writer import Clock, Writer

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ORIGIN = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9._~-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*")
REACH_SECONDS = 0.5
"""Pause between a follower's attempts to reach a store that is away."""
SIGN_SECONDS = 1.0
"""At most this much of a growing log is not yet covered by a signed checkpoint; nothing is signed while it rests."""


def system_clock() -> int:
    """Unix time in microseconds."""
    return time.time_ns() // 1000


class Created(NamedTuple):
    """A new ledger, opened, and the one-time view of its owner's API key."""

    log: Log
    api_key: str


class Log:
    """One opened ledger. Safe for use from several threads; use it as a context manager, or ``close`` it."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        clock: Clock = system_clock,
        accept_clock: bool = False,
        alarm: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Bring an opened store and its keys together; callers use ``create`` or ``open``."""
        self._store = store
        self._keys = keys
        self._data_keys = DataKeys(keys, store.origin)
        self._succession = Succession(store, keys)
        self._signer = Signer(keys, self._succession)
        self._epochs = Epochs(store, keys)
        self._writer = Writer(
            store,
            self._data_keys,
            clock,
            accept_clock=accept_clock,
            alarm=alarm,
            committed=self._sign_when_due,
        )
        self._tree = SignedTree(store, keys, self._signer, self._succession, self._writer.refuse)
        self._timer = Delay(self._sign)
        self._appended = False

    # --- Making and opening ------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        data: Path,
        name: str,
        origin: str,
        *,
        store: StoreURL | None = None,
        service_role: str | None = None,
        clock: Clock = system_clock,
    ) -> Created:
        """Make a ledger ``name`` under the folder ``data``: keys, store, ``ledger.created``, an owner's key.

        The store is a file there, or a schema in the database at ``store``, which ``service_role`` may use. The folder
        is built aside and renamed into place, so that a crash leaves no half of one. Raises ``Conflict`` when the name
        is taken, ``ValueError`` for a name or origin of another form, ``StoreError``.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"a ledger's name is 1 to 63 of a-z, 0-9, - and _, got {name!r}")
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"an origin is a host and path without scheme, like ledger.example/studio, got {origin!r}")

        def begin(made: Store, keys: Keys) -> None:
            with cls(made, keys, clock=clock) as log:
                log._append_created()

        data.mkdir(parents=True, exist_ok=True)
        with locked(data / ".init.lock"):  # or of two at once, one would clear away the other's keys as a crash's
            api_key = make_ledger(data, name, origin, store, service_role, begin)
        return Created(cls.open(data, name, store=store, clock=clock), api_key)

    @classmethod
    def open(
        cls,
        data: Path,
        name: str,
        *,
        store: StoreURL | None = None,
        clock: Clock = system_clock,
        accept_clock: bool = False,
        alarm: Callable[[str], None] = lambda message: None,
    ) -> Log:
        """Open the ledger ``name`` under the folder ``data``, its store being there or in the database at ``store``.

        Raises ``NotFound`` when there is none, ``StoreError`` or ``KeyFileError`` when it is unusable.
        """
        folder = data / name
        if not NAME.fullmatch(name) or not folder.is_dir():
            raise NotFound(
                f"there is no ledger {name!r} in {data}", advice="make it with: continuity init NAME --origin ORIGIN"
            )
        opened = open_store(store, name, folder)
        try:
            keys = Keys(folder / "keys", opened.origin)
        except BaseException:
            opened.close()
            raise
        return cls(opened, keys, clock=clock, accept_clock=accept_clock, alarm=alarm)

    def close(self) -> None:
        """Commit what waits, sign the tree if it grew, and release everything. Idempotent."""
        self._writer.close()
        self._timer.cancel()
        try:
            if self._appended:
                self._appended = False
                with contextlib.suppress(ForkError):  # refused to every caller already
                    self.checkpoint()
        finally:
            self._epochs.close()
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def origin(self) -> str:
        """The ledger's origin: the name in its keys and checkpoints."""
        return self._store.origin

    @property
    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The public keys that its checkpoints are signed with: those that hold now, whoever rotated them."""
        self._keys.refresh()
        return self._keys.verifier_keys

    @property
    def key_history(self) -> KeyHistory:
        """Which of its keys held when, by its entries: it opens earlier checkpoints too. Raises ``SignatureError``."""
        with self._store.reading() as reads:
            return history_of(reads)

    @property
    def credentials(self) -> Credentials:
        """The API credentials of this ledger."""
        return Credentials(self._keys.folder)

    @property
    def epochs(self) -> Epochs:
        """The epochs of its data keys, and how they turn."""
        return self._epochs

    @property
    def store(self) -> Store:
        """The store beneath, for the audit and for projections; nobody else appends to it."""
        return self._store

    # --- Appending ---------------------------------------------------------------------------------------------------

    def append(self, events: Sequence[bytes], credential: Credential = LOCAL, *, atomic: bool = True) -> list[Outcome]:
        """Append CloudEvents given as JSON bytes; returns when they are durable, with an outcome for each, in order.

        Atomic: all or none, and the first fault is raised, with its index. Else a faulty event's outcome is its error.
        Raises also what ``submit`` raises.
        """
        return self.submit(events, credential, atomic=atomic).result()

    def submit(
        self,
        events: Sequence[bytes | msgspec.Raw],
        credential: Credential = LOCAL,
        *,
        atomic: bool = True,
        within: Within | None = None,
        late: Late | None = None,
    ) -> Future[list[Outcome]]:
        """As ``append``, but at once: a few events are checked here for what needs no state, all else in the writer.

        What is to be done ``within`` the transaction, whose events are then no one else's, may also refuse it. An event
        that is made ``late``, in its transaction, is the only one.
        Raises ``EventError`` (atomic), ``Busy`` and ``ReadOnly``; the future raises ``EventError`` (atomic),
        ``StoreError``, ``ReadOnly`` and ``ForkError``.
        """
        posted = Posted(events, credential, atomic=atomic, within=within, late=late)
        self._writer.check(posted)  # before the work; the writer looks again when it is done
        if len(posted) <= PIECE:
            posted.request()
        else:
            posted.prepare_ahead(first=self._store.local and self._writer.idle)
        self._check_memory()
        self._appended = True
        answer: Future[list[Outcome]] = Future()
        answer.set_running_or_notify_cancel()  # so that it can't be cancelled: once queued, the events are written
        self._writer.submit(posted).add_done_callback(functools.partial(_pass_on, answer))
        return answer

    @property
    def checked(self) -> bool:
        """Whether ``submit`` reads nothing of the store any more, and so waits for nobody. See ``check``."""
        return self._tree.checked

    def check(self) -> None:
        """See, once, that the store extends what was signed, by the keys here; else the first ``submit`` does it.

        It may take as long as an index that has to be made anew. Raises ``ForkError``, ``KeyFileError`` and
        ``StoreError``.
        """
        self._check_memory()

    def rotate_keys(self, reason: str, credential: Credential = LOCAL) -> Receipt:
        """Replace the signing keys, for a ``reason`` given by its code; for owners only. See ``ledger.succession``.

        Raises ``Denied``, ``Conflict`` when another rotation was quicker, ``KeyFileError``, and what ``append`` raises:
        the old keys hold then, or the new ones if the entry was appended all the same.
        """

        def append(late: Late) -> Receipt:
            return cast("Receipt", self.submit([], credential.as_system(), late=late).result()[0])

        return self._succession.rotate(self._signer, reason, credential, moment.recorded(self._writer.clock()), append)

    def _append_created(self) -> None:
        self.append([created(self.origin, self.verifier_keys, moment.recorded(self._writer.clock()))], SYSTEM)

    # --- Reading -----------------------------------------------------------------------------------------------------

    def head(self) -> Head:
        """The end of the log as it stands now."""
        with self._store.reading() as reads:
            return reads.head()

    def page(self, selection: Selection, limit: int = PAGE) -> list[Row]:
        """The first ``limit`` rows of a selection, by position; continue after the last one's position."""
        with self._store.reading() as reads:
            return reads.rows(selection, max(0, min(limit, PAGE)))

    def scan(self, selection: Selection | None = None) -> Iterator[Row]:
        """All rows of a selection as of now, by position, in short reads. Memory stays flat."""
        chosen = selection or Selection()
        last = self.head().size - 1
        chosen = chosen._replace(last=last if chosen.last is None else min(chosen.last, last))
        while rows := self.page(chosen):
            yield from rows
            if len(rows) < PAGE:
                return
            chosen = chosen._replace(first=rows[-1].position + 1)

    def row(self, position: int) -> Row:
        """The row at a position. Raises ``NotFound``."""
        rows = self.page(Selection(position, position))
        if not rows:
            raise NotFound(f"there is no entry at position {position}; the log holds {self.head().size:,}")
        return rows[0]

    def disclose(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """The private values of each row, as far as they still open. For those who may see them only.

        Raises ``ForkError`` for a store that was rolled back: what was erased since may stand in it.
        """
        return [{name: one.value for name, one in of_row.items()} for of_row in self._opened(rows)]

    def disclosures(self, rows: Sequence[Row]) -> list[dict[str, bytes]]:
        """The disclosures of each row by name, to be handed on, as far as they open. Raises as ``disclose``."""
        return [{name: one.disclosure for name, one in of_row.items()} for of_row in self._opened(rows)]

    def _opened(self, rows: Sequence[Row]) -> list[dict[str, Opened]]:
        self._check_memory()
        held = self._keys.of_epochs.held()
        with self._store.reading() as reads:
            return self._data_keys.opened(reads, rows, held)

    def bound(self, text: str, *, end: bool) -> int:
        """The position that an inclusive bound given by a person means: digits are a position, else it is a time.

        A time as an end is the last position recorded at or before it (-1 if none), as a start the first recorded at or
        after it. Raises ``ValueError``.
        """
        if text.isascii() and text.isdigit():
            return int(text)
        wanted = moment.bound(text, end=end)
        low, high = 0, self.head().size  # the answer for a start: the first position whose `recorded` is not before
        while low < high:
            middle = (low + high) // 2
            at = decode(self.row(middle).entry).seal.recorded
            low, high = (middle + 1, high) if (at <= wanted if end else at < wanted) else (low, middle)
        return low - 1 if end else low

    def follow(self, after: int = -1) -> Iterator[Row]:
        """Every row after a position, for ever: those there are, then new ones as they are committed, none missed."""
        due = after + 1
        with self._store.subscribe(gt=due) as subscription:
            for notification in subscription:
                while due < notification.id:  # what was committed since comes along
                    rows = self._page_steadily(Selection(due)) or [self.row(due)]
                    yield from rows
                    due += len(rows)

    def _page_steadily(self, selection: Selection) -> list[Row]:
        """A page, as soon as the store can be reached."""
        while True:
            try:
                return self.page(selection)
            except StoreUnreachable:
                time.sleep(REACH_SECONDS)

    # --- Proving -----------------------------------------------------------------------------------------------------

    def checkpoint(self) -> tuple[Checkpoint, bytes]:
        """The signed checkpoint of the tree as it stands: (content, note). Raises ``ForkError``."""
        return self._tree.sign()

    def remembered(self) -> tuple[Checkpoint, bytes] | None:
        """The last checkpoint that was signed here, remembered outside the store."""
        return self._tree.remembered()

    def prove(self, position: int) -> bytes:
        """The tlog-proof of the entry at a position, under the current checkpoint. Raises ``NotFound``.

        While the log rests, that is the checkpoint that was signed last: nothing is signed or compared anew.
        """
        return self._tree.prove(position)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes. Raises ``ProofError`` unless 1 <= old <= new <= the log's size."""
        return self._tree.consistency(old, new)

    def root(self, size: int) -> bytes:
        """The root of the tree at a size. Raises ``NotFound`` above the log's size."""
        with self._store.reading() as reads:
            return proving.root(reads, size)

    def tile(self, path: str) -> bytes:
        """The content of a tile or entry bundle by its path (C2SP tlog-tiles). Raises ``InvalidPath``, ``NotFound``."""
        with self._store.reading() as reads:
            return proving.tile(reads, path)

    def _check_memory(self) -> None:
        """Before the first append and disclosure: see that the store extends what was signed, by the keys here."""
        self._tree.check_memory()

    def _sign_when_due(self, head: Head) -> None:
        """Sign soon after a commit, at most once in ``SIGN_SECONDS``; runs on the writer's thread."""
        self._timer.start(SIGN_SECONDS)
        self._epochs.scrub_soon()

    def _sign(self) -> None:
        with contextlib.suppress(Exception):  # a fork refuses the next append; another fault shows at the next call
            self.checkpoint()


def _pass_on(answer: Future[list[Outcome]], done: Future[list[Outcome]]) -> None:
    """Resolve a future as another was resolved."""
    if (failure := done.exception()) is not None:
        answer.set_exception(failure)
    else:
        answer.set_result(done.result())
