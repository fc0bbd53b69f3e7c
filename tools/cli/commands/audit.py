"""``continuity audit``: check a whole ledger from its bytes and the verifier keys.

Owns what is audited against: the checkpoint that the caller kept, the signer's own memory of its last one, or both.
The checks themselves are ``ledger.audit``.
"""

from __future__ import annotations

from pathlib import Path

import click

from ledger.audit import Report
from ledger.audit import audit as run_audit
from ledger.checkpoint import Checkpoint
from ledger.note import VerifierKey
from ledger.store.protocol import Store
from ledger.strict import write_base64
from tools.cli import output
from tools.cli.commands.proofs import FILE, read_file, read_keys
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb

MOST_JOBS = 64
"""Processes of one audit at most: more don't make it faster on any machine that it was tried on."""


@verb(
    "audit",
    "continuity audit",
    "continuity audit --since monday.checkpoint --json",
    "continuity audit --jobs 2",
    "continuity --data ./copy audit --key studio.vkey",
)
@click.option("--since", type=FILE, metavar="CHECKPOINT_FILE", help="It must also extend this signed checkpoint.")
@click.option(
    "--key", "key_file", type=FILE, metavar="VKEY_FILE", help="Trust these verifier keys, not those in the key folder."
)
@click.option(
    "--jobs", type=click.IntRange(1, MOST_JOBS), metavar="N", help="Processes that check together; default: one a core."
)
@pass_settings
def audit(settings: Settings, since: Path | None, key_file: Path | None, jobs: int | None) -> None:
    """Check all of a ledger: chain, seals, versions, tree, tiles and signatures.

    Names the first position at fault and the kind of fault, with exit code 20. The last checkpoint that this
    machine signed is checked too, so a cut tail or a store that was rolled back shows; give --since a checkpoint
    that was kept elsewhere to rule out that both were rolled back. What --jobs processes find together is what one
    finds alone. With --key, a copy of the ledger's file is enough: no key folder is needed. These may be keys that the
    ledger had at any time: rotations are followed by its entries, and each checkpoint has to be signed by the keys that
    held at its size.
    """
    note = None if since is None else read_file(since)
    if key_file is None:
        with settings.opened() as log:
            memory = log.remembered()
            report = _audit(settings, log.store, log.verifier_keys, note, None if memory is None else memory[0], jobs)
    else:
        keys = tuple(read_keys(key_file))
        with settings.store_alone() as store:
            report = _audit(settings, store, keys, note, None, jobs)
    if not report.ok:
        settings.outcome = ExitCode.NOT_VERIFIED
    _show(settings, report)


def _audit(
    settings: Settings,
    store: Store,
    keys: tuple[VerifierKey, ...],
    note: bytes | None,
    memory: Checkpoint | None,
    jobs: int | None,
) -> Report:
    """Audit against the caller's checkpoint if there is one, and against the signer's memory if there is one."""
    trusted = [checkpoint for checkpoint in (note, memory) if checkpoint is not None]
    with output.progress("audited", json=settings.json) as tick:
        return run_audit(store, keys, since=trusted, progress=tick, jobs=jobs)


def _show(settings: Settings, report: Report) -> None:
    speed = round(report.checked / report.seconds) if report.seconds else 0
    fault = report.first_fault
    root = write_base64(report.root)
    if settings.json:
        output.write_json(
            {
                "ok": report.ok,
                "size": report.size,
                "root": root,
                "entries_per_second": speed,
                "first_fault": None if fault is None else fault._asdict(),
            }
        )
    elif fault is None:
        output.write_line(f"ok: {report.size:,} entries agree with each other and with what was signed")
        output.write_line(f"size {report.size}, root {root}, {speed:,} entries/s")
    else:
        output.write_line(f"FAULT at position {fault.position}, kind {fault.kind}: {fault.detail}")
        output.write_line(f"the {report.checked:,} entries before were found good")
