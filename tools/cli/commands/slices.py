"""``continuity slice`` and ``check-slice``: entries that prove themselves, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from ledger import redaction
from ledger.annex import Redaction
from ledger.cosignature import Checkpoint
from ledger.handout import Tally
from ledger.history import ProvenHistory, is_history, verify_history
from ledger.key_history import KeyHistory
from ledger.slice import Proven, verify_slice
from ledger.strict import write_base64
from tools.cli import output
from tools.cli.commands.log import positions
from tools.cli.commands.proofs import FILE, ROTATIONS, read_trust
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import OUT
from tools.files import written
from tools.slices import HandedOut, contents, cut, cut_history


@verb(
    "slice",
    "continuity slice --out studio.slice",
    "continuity slice --from 2026-03-01 --to 2026-03-31 --policy staff --out march.slice",
    "continuity slice --member M-1002 --out M-1002.slice",
)
@click.option("--from", "first", metavar="START", help="From this position or time on, inclusive.")
@click.option("--to", "last", metavar="END", help="Up to this position or time, inclusive.")
@click.option("--member", metavar="ID", help="The whole history of this member, instead of consecutive entries.")
@click.option(
    "--policy",
    metavar="NAME",
    help="Which redaction policy discloses private values; by default none goes along, with --member by member.",
)
@click.option("--out", type=OUT, required=True, metavar="FILE", help="The file to write, whole or not at all.")
@pass_settings
def slice_(
    settings: Settings, *, first: str | None, last: str | None, member: str | None, policy: str | None, out: Path
) -> None:
    """Cut entries out of the log into a file that proves itself.

    The file holds the exact bytes of consecutive entries, a signed checkpoint and the hashes that make them a part of
    its tree. With --policy it holds the private values too that the policy discloses, and which rule withheld each
    other. check-slice verifies it offline. START and END are positions or times, as for "log".

    With --member it holds all entries about a member, and about accounts that were merged into theirs, each with its
    proof, and it proves that none is missing. That it was handed out is recorded in the log. What is in a file can't be
    erased any more: give it to nobody but the one it is about.
    """
    if member is not None:
        if first is not None or last is not None:
            raise click.UsageError(
                "a member's history is whole: --member goes without --from and --to", click.get_current_context()
            )
        _slice_history(settings, member, redaction.policy(policy or "member"), out)
        return
    chosen = None if policy is None else redaction.policy(policy)
    with settings.opened() as log:
        start, end = positions(log, first, last)
        with output.progress("written", json=settings.json) as tick, written(out) as file:
            header = cut(log, file, start, None if end is None else end + 1, chosen, tick)
    count, octets = header.end - header.first, out.stat().st_size
    if settings.json:
        output.write_json({"file": str(out), "first": header.first, "entries": count, "bytes": octets})
    else:
        output.write_line(f"{out}: {count:,} entries from position {header.first}, {octets:,} bytes")


def _slice_history(settings: Settings, member: str, policy: redaction.Policy, out: Path) -> None:
    with settings.opened() as log, written(out) as file:
        done: HandedOut = cut_history(log, file, member, policy)
    octets = out.stat().st_size
    if settings.json:
        told = {"file": str(out), "member": member, "accounts": done.accounts, "entries": done.entries}
        output.write_json(told | {"position": done.position, "bytes": octets})
        return
    merged = f", with {', '.join(done.accounts[1:])}" if done.accounts[1:] else ""
    output.write_line(
        f"{out}: the history of {member}{merged}, {done.entries:,} entries up to position {done.position}, "
        f"{octets:,} bytes"
    )


@verb(
    "check-slice",
    "continuity check-slice studio.slice --key studio.vkey",
    "continuity check-slice M-1002.slice --key studio.vkey --jsonl",
)
@click.argument("slice_file", type=FILE)
@click.option(
    "--key", "key_file", type=FILE, required=True, metavar="VKEY_FILE", help="The ledger's verifier keys, one a line."
)
@click.option("--jsonl", is_flag=True, help="Once it is proven, show each entry, what is disclosed of it and what not.")
@ROTATIONS
@pass_settings
def check_slice(settings: Settings, slice_file: Path, key_file: Path, jsonl: bool, rotations: Path | None) -> None:
    """Check offline that a slice is a part of its log, or a member's history whole; no ledger is needed.

    Exit code 20 when its entries are not proven, a disclosure is not that of its entry, a history is not whole or the
    file is damaged; 22 when no known key has signed or a signature is false.
    """
    keys = read_trust(key_file, rotations)
    with slice_file.open("rb") as file:
        proven = _proven(file, keys)
        if jsonl:
            for one in contents(file):
                output.write(msgspec.json.encode(one) + b"\n")
            return
    if isinstance(proven, ProvenHistory):
        _tell_history(settings, proven)
    else:
        _tell_slice(settings, proven)


def _proven(file: BinaryIO, keys: KeyHistory) -> Proven | ProvenHistory:
    return verify_history(file, keys) if is_history(file) else verify_slice(file, keys)


def _tell_slice(settings: Settings, proven: Proven) -> None:
    count, checkpoint = proven.end - proven.first, proven.checkpoint
    if settings.json:
        told = {"ok": True, "origin": checkpoint.origin, "first": proven.first, "entries": count}
        output.write_json(told | _grounds(checkpoint, proven.redaction, proven.tally))
        return
    output.write_line(
        f"proven: {count:,} entries from position {proven.first} are those of {checkpoint.origin}, "
        f"size {checkpoint.size}"
    )
    _tell_redaction(proven.redaction, proven.tally)


def _tell_history(settings: Settings, proven: ProvenHistory) -> None:
    checkpoint = proven.checkpoint
    if settings.json:
        told = {"ok": True, "origin": checkpoint.origin, "member": proven.member, "accounts": proven.entries}
        output.write_json(told | {"recorded": proven.recorded} | _grounds(checkpoint, proven.redaction, proven.tally))
        return
    counts = ", ".join(f"{count:,} about {member}" for member, count in proven.entries.items())
    output.write_line(
        f"proven: the whole history of {proven.member} in {checkpoint.origin} up to {proven.recorded}: {counts}"
    )
    _tell_redaction(proven.redaction, proven.tally)


def _grounds(checkpoint: Checkpoint, redaction: Redaction | None, tally: Tally) -> dict[str, Any]:
    told: dict[str, Any] = {"size": checkpoint.size, "root": write_base64(checkpoint.root), "redaction": None}
    if redaction is not None:
        told["redaction"] = {
            "policy": redaction.policy,
            "disclosed": tally.disclosed,
            "withheld": dict(tally.withheld),
            "rules": {rule: redaction.rules[rule] for rule in tally.withheld},
        }
    return told


def _tell_redaction(redaction: Redaction | None, tally: Tally) -> None:
    if redaction is None:
        return
    output.write_line(f"private values, by the policy {redaction.policy}: {tally.disclosed:,} disclosed")
    for rule, count in tally.withheld.items():
        output.write_line(f"{count:,} withheld by {rule}: {redaction.rules[rule]}")
