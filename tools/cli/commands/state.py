"""``continuity attest``, ``check-state`` and ``replay``: the state proven by the log, and taken out of it."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from projections import attest as attesting
from projections.replay import Replayed
from projections.replay import replay as run_replay
from projections.roots import StateRoot
from projections.slice_source import SliceSource
from tools.cli import output
from tools.cli.commands.log import bound
from tools.cli.commands.proofs import FILE, ROTATIONS, read_trust
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import OUT

_DIGITS: Final = 1_000
"""Digits of a number that are read at most; no slice has so many entries."""


@verb("attest", "continuity attest", "continuity attest --json")
@pass_settings
def attest(settings: Settings) -> None:
    """Record the state roots: one hash for all rows of each projection, as the log has made them by now.

    Projections are brought up to the log first. The roots go into the log as an event, so that check-state, or anybody
    who replays the log elsewhere, can see that the same history still makes the same state. Private values take no
    part: an erasure changes no root.
    """
    with settings.running() as (log, runner):
        with output.progress("folded", json=settings.json) as tick:
            attested = attesting.attest(log, runner, tick)
        (made,) = (one for one in attesting.attestations(log, attested.position) if one.entry == attested.position)
    names = sorted(made.roots)
    if settings.json:
        found = [{"name": name, "version": made.roots[name][0], **_root(made.roots[name][1])} for name in names]
        output.write_json({"entry": attested.position, "position": made.position, "projections": found})
        return
    output.write_line(f"the state at position {made.position} is attested at position {attested.position}")
    for name in names:
        output.write_line(f"{made.roots[name][1].root.hex()}  {name}: {made.roots[name][1].rows:,} rows")


@verb("check-state", "continuity check-state", "continuity check-state --at 41 --json")
@click.option("--at", metavar="POSITION_OR_TIME", help="The state after this position; it has to be attested or live.")
@pass_settings
def check_state(settings: Settings, at: str | None) -> None:
    """Fold the log anew and compare: with the state that was attested last, and with the rows that are live.

    Exit code 20 when a projection differs; the first differing row of live ones is named. Nothing is changed by it: a
    projection that differs is made right by rebuild.
    """
    with (
        settings.opened() as log,
        closing(settings.projections()) as live,
        tempfile.TemporaryDirectory(prefix=".check-", dir=settings.folder) as folder,
    ):
        position = None if at is None else bound(log, at, "--at", end=True)
        with output.progress("folded", json=settings.json) as tick:
            checked = attesting.check(log, live, Path(folder) / "state.db", position, progress=tick)
    if not checked.ok:
        settings.outcome = ExitCode.NOT_VERIFIED
    _show(settings, checked)


@verb(
    "replay",
    "continuity replay --at 41 --out then.db",
    "continuity replay --at 2026-03-31 --out march.db",
    "continuity replay --slice studio.slice --key studio.vkey --out elsewhere.db",
)
@click.option("--at", metavar="POSITION_OR_TIME", help="As it stood after this position or at this time; default: now.")
@click.option("--slice", "slice_file", type=FILE, help="Replay this slice instead of a ledger; none is needed then.")
@click.option("--key", "key_file", type=FILE, metavar="VKEY_FILE", help="The verifier keys that prove the slice.")
@ROTATIONS
@click.option("--out", type=OUT, required=True, metavar="FILE", help="The database to write, whole or not at all.")
@pass_settings
def replay(
    settings: Settings,
    at: str | None,
    slice_file: Path | None,
    key_file: Path | None,
    rotations: Path | None,
    out: Path,
) -> None:
    """Write a fresh SQLite database of all read models as they stood at a moment, folded from the log alone.

    Open it with any SQLite program; docs/reference/read-models.md describes its tables. It holds commitments in place
    of private values. From a slice only positions can be given, not times; it has to begin at position 0. Exit code 3
    when a projection could not fold an event: the others are complete.
    """
    started = time.monotonic()
    if (slice_file is None) != (key_file is None):
        raise click.UsageError("--slice and --key go together", click.get_current_context())
    if rotations is not None and key_file is None:
        raise click.UsageError("--rotations goes with --slice and --key", click.get_current_context())
    with output.progress("folded", json=settings.json) as tick:
        if slice_file is not None and key_file is not None:
            with SliceSource(slice_file, read_trust(key_file, rotations)) as source:
                done = run_replay(source, _position(at, source.head().size - 1), out, progress=tick)
        else:
            with settings.opened() as log:
                last = log.head().size - 1
                position = last if at is None else min(bound(log, at, "--at", end=True), last)
                done = run_replay(log, position, out, progress=tick)
    _tell_replayed(settings, done, out, time.monotonic() - started)


def _position(at: str | None, last: int) -> int:
    """The position that ``--at`` names in a slice."""
    if at is None:
        return last
    if not at.isascii() or not at.isdigit() or len(at) > _DIGITS:
        raise click.BadParameter(f"{at[:100]!r} is no position", click.get_current_context(), param_hint="--at")
    return min(int(at), last)


def _tell_replayed(settings: Settings, done: Replayed, out: Path, seconds: float) -> None:
    if done.faults:
        settings.outcome = ExitCode.INCOMPLETE
    if settings.json:
        faults = [{"name": name, "position": at, "reason": why} for name, (at, why) in sorted(done.faults.items())]
        output.write_json({"file": str(out), "position": done.position, "faults": faults, "seconds": round(seconds, 3)})
        return
    moment = f"after position {done.position}" if done.position >= 0 else "before the first entry, empty"
    output.write_line(f"{out}: all read models {moment}, in {seconds:.1f} s")
    for name, (at, why) in sorted(done.faults.items()):
        output.write_line(f"{name} ends before position {at}: {why}")


def _show(settings: Settings, checked: attesting.Checked) -> None:
    fault = next((one for one in checked.compared if one.expected != one.actual), None)
    if settings.json:
        first_fault = None
        if fault is not None:
            first_fault = {"position": fault.position, "kind": "state", "detail": _detail(fault)}
        output.write_json(
            {
                "ok": checked.ok,
                "position": checked.compared[-1].position,
                "projections": [_compared(one) for one in checked.compared],
                "left_out": checked.left_out,
                "entries_per_second": round(checked.entries / max(checked.seconds, 1e-9)),
                "first_fault": first_fault,
            }
        )
        return
    for one in checked.compared:
        same = "ok" if one.expected == one.actual else "DIFFERS"
        output.write_line(f"{same:<8} {one.name} at position {one.position}, {one.against}: {one.actual.rows:,} rows")
    for line in checked.left_out:
        output.write_line(f"not compared: {line}")
    if fault is not None:
        output.write_line(f"FAULT at position {fault.position}, state: {_detail(fault)}")


def _compared(one: attesting.Compared) -> dict[str, object]:
    return {
        "name": one.name,
        "version": one.version,
        "position": one.position,
        "against": one.against,
        "ok": one.expected == one.actual,
        "expected": _root(one.expected),
        "actual": _root(one.actual),
    }


def _root(one: StateRoot) -> dict[str, object]:
    return {"rows": one.rows, "root": one.root.hex()}


def _detail(fault: attesting.Compared) -> str:
    return fault.difference or (
        f"{fault.name}: the log makes {fault.expected.rows:,} rows with root {fault.expected.root.hex()}, "
        f"attested were {fault.actual.rows:,} with {fault.actual.root.hex()}"
    )
