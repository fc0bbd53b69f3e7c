"""``continuity check-publication``: whether what was published is still what was signed.

Owns who is trusted, and how faults are told. The checks themselves are ``tools.published``.
"""

from __future__ import annotations

from pathlib import Path

import click

from ledger.checkpoint import Checkpoint
from ledger.errors import SignatureError
from ledger.key_history import KeyHistory
from ledger.strict import write_base64
from ledger.trust_policy import TrustPolicy, open_witnessed
from tools.cli import output
from tools.cli.commands.proofs import FILE, ROTATIONS, read_file, read_trust
from tools.cli.commands.publish import ENDPOINT
from tools.cli.commands.witness import read_policy
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.published import Found, PublicationCheck, check_extends, fetch_checkpoint, has_entries
from tools.vaults.opening import open_reader
from tools.vaults.protocol import Reader

MOST_FAULTS = 1_000
"""Faults that are named; the others are counted."""


@verb(
    "check-publication",
    "continuity check-publication /srv/www/studio-log",
    "continuity check-publication https://log.example/studio --key studio.vkey --since monday.checkpoint",
    "continuity check-publication s3://studio-logs/studio --key genesis.vkey --rotations studio.rotations",
)
@click.argument("place", metavar="DIR_OR_URL")
@click.option(
    "--key", "key_file", type=FILE, metavar="VKEY_FILE", help="The ledger's verifier keys; no ledger is needed then."
)
@ROTATIONS
@click.option("--policy", "policy_file", type=FILE, metavar="FILE", help="These witnesses must have cosigned it.")
@click.option("--since", type=FILE, metavar="CHECKPOINT_FILE", help="It must extend this signed checkpoint.")
@click.option("--entries", is_flag=True, help="Entry bundles must be there; without it, they are checked if they are.")
@ENDPOINT
@pass_settings
def check_publication(
    settings: Settings,
    place: str,
    key_file: Path | None,
    rotations: Path | None,
    policy_file: Path | None,
    since: Path | None,
    entries: bool,
    endpoint: str | None,
) -> None:
    """Check that everything a publication claims is there, and is what its signed checkpoint says.

    DIR_OR_URL is a folder, s3://BUCKET/PREFIX, or the http or https URL by which a web server serves either. With --key
    nothing of the ledger is needed; without it, the keys are those of the ledger in the data folder.

    Each object at fault is named by its path, with exit code 20. Exit code 22 when the checkpoint itself is damaged or
    nobody known has signed it, 21 when it does not extend the one given with --since, 10 when there is none.
    """
    trust = _trust(settings, key_file, rotations)
    policy = None if policy_file is None else read_policy(policy_file)
    kept = None if since is None else trust.open(read_file(since))
    reader = _reader(place, endpoint)
    checkpoint = _open(reader, trust, policy)
    if kept is not None and checkpoint.size <= kept.size:  # needs no tile: damaged ones must not hide it
        check_extends(reader, kept, checkpoint)
    entries = entries or has_entries(reader, checkpoint.size)
    check = PublicationCheck(reader, checkpoint, entries=entries)
    named: list[Found] = []

    def found(fault: Found) -> None:
        if len(named) < MOST_FAULTS:
            named.append(fault)
            if not settings.json:
                output.write_line(f"FAULT {fault.path}, {fault.fault}: {fault.detail}")
                output.flush()

    with output.progress("checked", json=settings.json) as tick:
        faults = check.run(found, tick)
    if faults:
        settings.outcome = ExitCode.NOT_VERIFIED
    elif kept is not None:
        check_extends(reader, kept, checkpoint)
    _show(settings, reader, checkpoint, check.objects, named, faults, entries=entries)


def _trust(settings: Settings, key_file: Path | None, rotations: Path | None) -> KeyHistory:
    """The keys that were given, or those of the ledger in the data folder."""
    if key_file is not None:
        return read_trust(key_file, rotations)
    if rotations is not None:
        raise click.UsageError("--rotations goes with --key", click.get_current_context())
    with settings.opened() as log:
        return log.key_history


def _reader(place: str, endpoint: str | None) -> Reader:
    try:
        return open_reader(place, endpoint=endpoint)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None


def _open(reader: Reader, trust: KeyHistory, policy: TrustPolicy | None) -> Checkpoint:
    """The published checkpoint, verified. Raises ``SignatureError``, ``QuorumMissed``, ``NotFound``, ``VaultError``."""
    note = fetch_checkpoint(reader)
    try:
        checkpoint = trust.open(note)
        if policy is not None:
            open_witnessed(note, policy, log_keys=trust.keys_for(note))
    except SignatureError as fault:
        raise type(fault)(
            f"{reader.place}: checkpoint: {fault}",
            advice="see that the keys are the right ones; if so it was damaged or forged: keep it, and tell the log's "
            "operator, who can write it anew: continuity publish --again",
        ) from None
    return checkpoint


def _show(
    settings: Settings,
    reader: Reader,
    checkpoint: Checkpoint,
    objects: int,
    named: list[Found],
    faults: int,
    *,
    entries: bool,
) -> None:
    if settings.json:
        output.write_json(
            {
                "ok": not faults,
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": write_base64(checkpoint.root),
                "objects": objects,
                "entries": entries,
                "at_fault": faults,
                "faults": [fault._asdict() for fault in named],
            }
        )
        return
    if not faults:
        kinds = "tiles and entry bundles" if entries else "tiles, no entry bundles"
        output.write_line(f"ok: {reader.place}: {checkpoint.size:,} entries of {checkpoint.origin}")
        output.write_line(f"{objects:,} objects ({kinds}) are what was signed, root {write_base64(checkpoint.root)}")
        return
    if faults > len(named):
        output.write_line(f"and {faults - len(named):,} more")
    wanted = " --entries" if entries else ""
    output.write_line(f"{faults:,} of {objects:,} objects are at fault")
    output.write_line(f"whoever has the ledger writes them anew: continuity publish {reader.place}{wanted} --again")
