"""Attesting the state, and checking it: what the rows are, against what the log makes of them.

Owns the event ``state.attested`` and the comparison of roots. An attestation says which roots the projections had after
an entry; since it stands in the log, which is chained and signed, whoever replays the log to there can check that they
come to the same rows. Never repairs anything: a projection that differs is rebuilt by ``rebuild``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from ledger import moment
from ledger.errors import Conflict, EventError, NotFound
from ledger.event import SYSTEM
from ledger.flush import Receipt
from ledger.log import Log, system_clock
from ledger.store.protocol import Selection
from projections.models import READ_MODELS
from projections.projection import Projection, Table, Values
from projections.replay import Prefix
from projections.roots import StateRoot, first_difference, state_root
from projections.runner import Progress, Runner
from projections.store.protocol import Generation, ProjectionStore, Reads
from projections.store.sqlite import SQLiteProjections

TYPE: Final = "state.attested"
STREAM: Final = "state:main"
_PAGE: Final = 1_000
_TRIES: Final = 5


class Attested(NamedTuple):
    """An attestation: where it stands in the log, and of each projection its version and root at ``position``."""

    entry: int
    position: int
    roots: dict[str, tuple[int, StateRoot]]


class Compared(NamedTuple):
    """One projection at one position: the root that the log gives, and the one it is compared with.

    ``against`` says whose that is, ``attested`` or ``live``; ``expected`` is what the log gives, ``actual`` what was
    attested or is live. ``difference`` says in words where a fold of the log stops before that position, or else names
    the first differing row; only the live ones have rows to look at.
    """

    position: int
    name: str
    version: int
    against: str
    expected: StateRoot
    actual: StateRoot
    difference: str | None


class Checked(NamedTuple):
    """The outcome of a check: all comparisons in order, what could not be compared and why, entries and seconds."""

    compared: list[Compared]
    left_out: list[str]
    entries: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether all roots are equal."""
        return all(one.expected == one.actual for one in self.compared)


def roots(reads: Reads, projections: Sequence[Projection], generations: dict[str, int]) -> dict[str, StateRoot]:
    """The root of each projection that has a generation here, given by number."""
    return {
        one.name: state_root((table, _rows(reads, table, generations[one.name])) for table in one.tables)
        for one in projections
        if one.name in generations
    }


def attest(log: Log, runner: Runner, progress: Progress | None = None) -> Receipt:
    """Bring the live projections up to the log and append their roots as ``state.attested``.

    Raises ``Conflict`` when a projection has stopped, is being rebuilt for the first time, or others keep them apart.
    """
    position, found = _standing(runner, progress)
    data = {
        "position": position,
        "roots": [
            {"name": one.name, "root": found[one.name].root.hex(), "rows": found[one.name].rows, "version": one.version}
            for one in sorted(runner.projections, key=lambda each: each.name)
        ],
    }
    event = {
        "specversion": "1.0",
        "id": f"attested-{position}-{time.time_ns()}",
        "source": "urn:continuity-ledger",
        "type": TYPE,
        "subject": STREAM,
        "time": moment.recorded(system_clock()),
        "data": data,
    }
    (outcome,) = log.append([msgspec.json.encode(event)], SYSTEM)
    if isinstance(outcome, EventError):
        raise outcome
    return outcome


def attestations(log: Log, last: int | None = None) -> Iterator[Attested]:
    """The attestations in the log up to position ``last``, oldest first."""
    for row in log.scan(Selection(last=last, type=TYPE)):
        data = row.content().event.public()
        found = {one["name"]: (one["version"], _root(one["rows"], one["root"])) for one in data["roots"]}
        yield Attested(row.position, data["position"], found)


def _root(rows: int, root: str) -> StateRoot:
    return StateRoot(rows, bytes.fromhex(root))


class _Claim(NamedTuple):
    """What somebody says a projection's root is after an entry."""

    position: int
    projection: Projection
    against: str
    root: StateRoot


def check(
    log: Log,
    live: ProjectionStore,
    scratch: Path,
    at: int | None = None,
    *,
    projections: Sequence[Projection] = READ_MODELS,
    progress: Progress | None = None,
) -> Checked:
    """Fold the log anew into the file ``scratch`` and compare: with the last attestation, and with the live rows.

    ``at``: the state after that entry; there has to be an attestation of it, or the live rows have to stand there.
    Raises ``NotFound`` when there is nothing to compare.
    """
    started = time.monotonic()
    claims, left_out = _claims(log, live, projections, at)
    if not claims:
        raise _nothing(log, at, left_out)
    compared: list[Compared] = []
    for position in sorted({claim.position for claim in claims}):
        with _replayed(log, position, scratch, projections, progress) as runner, runner.store.reading() as reads:
            folded = {one.projection: one for one in reads.generations()}
            expected = roots(reads, projections, {name: one.number for name, one in folded.items()})
        for claim in (one for one in claims if one.position == position):
            name, wanted, difference = claim.projection.name, expected[claim.projection.name], None
            if claim.root != wanted and (fault := folded[name].fault) is not None:
                difference = f"{name}: a fold of the log stops at position {fault.position}: {fault.reason}"
            elif claim.root != wanted and claim.against == "live":
                difference = _name_difference(log, live, scratch, claim.projection, projections)
            compared.append(
                Compared(position, name, claim.projection.version, claim.against, wanted, claim.root, difference)
            )
    return Checked(compared, left_out, compared[-1].position + 1, time.monotonic() - started)


def _claims(
    log: Log, live: ProjectionStore, projections: Sequence[Projection], at: int | None
) -> tuple[list[_Claim], list[str]]:
    """What there is to compare with, and in words what can't be compared."""
    known = {one.name: one for one in projections}
    claims: list[_Claim] = []
    left_out: list[str] = []
    for attested in _wanted(log, at):
        for name, (version, root) in attested.roots.items():
            if name in known and known[name].version == version:
                claims.append(_Claim(attested.position, known[name], "attested", root))
            else:
                left_out.append(f"{name} was attested at {attested.position} by its version {version}, not this one")
    with live.reading() as reads:
        for one in _live(reads.generations(), at):
            if one.projection in known and one.fingerprint == known[one.projection].fingerprint():
                found = roots(reads, [known[one.projection]], {one.projection: one.number})
                claims.append(_Claim(one.position, known[one.projection], "live", found[one.projection]))
            else:
                left_out.append(f"the live rows of {one.projection} are of its version {one.version}, not this one")
    return claims, left_out


def _wanted(log: Log, at: int | None) -> list[Attested]:
    """The last attestation, or all of the state after one entry."""
    found = list(attestations(log))
    return found[-1:] if at is None else [one for one in found if one.position == at]


def _live(generations: Sequence[Generation], at: int | None) -> list[Generation]:
    return [one for one in generations if one.state == "live" and one.position == (one.position if at is None else at)]


def _nothing(log: Log, at: int | None, left_out: Sequence[str]) -> NotFound:
    if left_out:
        return NotFound(f"there is nothing to compare: {'; '.join(left_out)}", advice="attest again: continuity attest")
    if at is None:
        return NotFound("there is no state to check", advice="build it: continuity rebuild")
    known = sorted({one.position for one in attestations(log)}, key=lambda position: abs(position - at))[:3]
    where = f"; it was attested at {', '.join(map(str, sorted(known)))}" if known else ""
    return NotFound(f"no state was attested at position {at}, nor do the live rows stand there{where}")


def _replayed(
    log: Log, position: int, scratch: Path, projections: Sequence[Projection], progress: Progress | None
) -> Runner:
    """A runner whose rows, in the file ``scratch``, are those after an entry, or after where one stops; close it.

    What is to be skipped is, also where that was decided after that entry.
    """
    runner = Runner(Prefix(log, position), SQLiteProjections(scratch), projections=projections, decisions=log)
    try:
        runner.catch_up(progress)
    except BaseException:
        runner.close()
        raise
    return runner


def _name_difference(
    log: Log, live: ProjectionStore, scratch: Path, projection: Projection, projections: Sequence[Projection]
) -> str:
    """The first row that is live otherwise than the log gives it, in words.

    The live rows may have moved on since their root was taken, so the log is folded to where they are now.
    """
    with live.reading() as theirs:
        standing = next((one for one in _live(theirs.generations(), None) if one.projection == projection.name), None)
        if standing is None:
            return "the rows have been dropped meanwhile"
        with _replayed(log, standing.position, scratch, projections, None) as runner, runner.store.reading() as ours:
            (number,) = (one.number for one in ours.generations() if one.projection == projection.name)
            for table in sorted(projection.tables, key=lambda each: each.name):
                expected, actual = _rows(ours, table, number), _rows(theirs, table, standing.number)
                if (found := first_difference(table, expected, actual)) is not None:
                    return found.worded()
    return "the rows have become equal meanwhile"


def _numbers(generations: Sequence[Generation]) -> dict[str, int]:
    return {one.projection: one.number for one in generations if one.state == "live"}


def _rows(reads: Reads, table: Table[Any], generation: int) -> Iterator[Values]:
    """All rows of a table, in the order of their keys."""
    after = None
    while page := reads.rows(table, after=after, limit=_PAGE, generation=generation):
        yield from page
        if len(page) < _PAGE:
            return
        after = table.key_of(table.row(*page[-1]))


def _standing(runner: Runner, progress: Progress | None) -> tuple[int, dict[str, StateRoot]]:
    """The position at which all live projections stand together, and their roots there."""
    for attempt in count(1):
        runner.catch_up(progress)
        with runner.store.reading() as reads:
            live = {one.projection: one for one in _live(reads.generations(), None)}
            _check_fit(runner.projections, live)
            if len({one.position for one in live.values()}) == 1:
                return next(iter(live.values())).position, roots(reads, runner.projections, _numbers([*live.values()]))
        if attempt == _TRIES:
            raise Conflict("the projections don't stand at one position", advice="try again when no rebuild is running")
    raise AssertionError


def _check_fit(projections: Sequence[Projection], live: dict[str, Generation]) -> None:
    """Refuse to attest rows of other code, or that don't follow the log. Raises ``Conflict``."""
    for one in projections:
        generation = live.get(one.name)
        if generation is None or generation.fingerprint != one.fingerprint():
            raise Conflict(f"{one.name} is not built by this version", advice=f"continuity rebuild {one.name}")
        if generation.fault is not None:
            raise Conflict(
                f"{one.name} has stopped at position {generation.fault.position}: {generation.fault.reason}",
                advice="see: continuity projections",
            )
