"""``continuity checkpoint``, ``prove``, ``check-proof`` and ``consistency``: what convinces somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ledger.errors import MalformedNote
from ledger.key_chain import MAX_CHAIN, follow_chain, parse_chain
from ledger.key_history import KeyHistory
from ledger.note import MAX_NOTE_BYTES, VerifierKey
from ledger.proof import parse_proof, verify_entry
from ledger.strict import write_base64
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb

MAX_FILE = 2 * MAX_NOTE_BYTES
"""Bytes of a proof, entry or key file that are read: more than any valid one has."""

POSITION = click.IntRange(min=0)
FILE: Any = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def read_keys(path: Path) -> list[VerifierKey]:
    """The verifier keys of a file, one a line, blank lines aside. Raises ``MalformedNote``, also for no key at all."""
    try:
        lines = read_file(path).decode().splitlines()
    except UnicodeDecodeError:
        raise MalformedNote(f"{path} holds no verifier keys: it is not text") from None
    keys = [_key_of_line(path, number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not keys:
        raise MalformedNote(f"{path} holds no verifier key")
    return keys


def _key_of_line(path: Path, number: int, line: str) -> VerifierKey:
    try:
        return VerifierKey.parse(line)
    except MalformedNote as fault:
        raise MalformedNote(f"{path}, line {number}: {fault}") from None


def read_trust(key_file: Path, rotations: Path | None) -> KeyHistory:
    """The verifier keys of a file, and what became of them by the rotations in another.

    Raises ``SignatureError`` and ``ProofError`` for rotations that don't follow from these keys.
    """
    keys = read_keys(key_file)
    if rotations is None:
        return KeyHistory.trusting(keys)
    return follow_chain(parse_chain(read_file(rotations, MAX_CHAIN)), keys)


ROTATIONS = click.option(
    "--rotations",
    type=FILE,
    metavar="FILE",
    help="How its keys were rotated since, as export-public --history prints it; the keys are followed from yours on.",
)


def read_file(path: Path, most: int = MAX_FILE) -> bytes:
    """The content of a small file. Raises ``click.UsageError`` for one that can't be a proof, an entry or a key."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise click.UsageError(f"{path} is too large: over {most:,} bytes", click.get_current_context())
    return content


@verb("checkpoint", "continuity checkpoint > monday.checkpoint")
@pass_settings
def checkpoint(settings: Settings) -> None:
    """Sign the tree as it stands, and print the signed note.

    Keep such notes where the operator of the ledger can't reach them: an audit against one shows whether anything was
    changed, cut off or rolled back since. A store that does not extend what was signed before is not signed: exit 21.
    """
    with settings.opened() as log:
        current, note = log.checkpoint()
    if settings.json:
        output.write_json(
            {
                "origin": current.origin,
                "size": current.size,
                "root": write_base64(current.root),
                "note": note.decode(),
            }
        )
    else:
        output.write(note)


@verb("prove", "continuity prove 3 > entry-3.tlog-proof")
@click.argument("position", type=POSITION)
@pass_settings
def prove(settings: Settings, position: int) -> None:
    """Prove that the entry at POSITION is in the log.

    Prints a proof file (c2sp.org/tlog-proof), which check-proof verifies offline, against the entry's bytes as
    "log --raw" gives them and the verifier keys.
    """
    with settings.opened() as log:
        proof = log.prove(position)
    if settings.json:
        output.write_json({"position": position, "proof": proof.decode()})
    else:
        output.write(proof)


@verb(
    "check-proof",
    "continuity check-proof entry-3.tlog-proof entry-3.json --key studio.vkey",
    "continuity check-proof entry-3.tlog-proof entry-3.json --key genesis.vkey --rotations studio.rotations",
)
@click.argument("proof_file", type=FILE)
@click.argument("entry_file", type=FILE)
@click.option(
    "--key", "key_file", type=FILE, required=True, metavar="VKEY_FILE", help="The ledger's verifier keys, one a line."
)
@ROTATIONS
@pass_settings
def check_proof(settings: Settings, proof_file: Path, entry_file: Path, key_file: Path, rotations: Path | None) -> None:
    """Check offline that an entry is in a log; no ledger is needed.

    ENTRY_FILE holds the entry byte for byte; one line feed at its end is ignored. Exit code 20 when the entry is not
    proven, 22 when no known key has signed, a signature is false, or a retired key signed a later tree.
    """
    keys = read_trust(key_file, rotations)
    proof = parse_proof(read_file(proof_file))
    proven = verify_entry(proof, read_file(entry_file).removesuffix(b"\n"), keys)
    if settings.json:
        output.write_json(
            {
                "ok": True,
                "origin": proven.origin,
                "position": proof.index,
                "size": proven.size,
                "root": write_base64(proven.root),
            }
        )
    else:
        output.write_line(f"proven: the entry stands at position {proof.index} of {proven.origin}, size {proven.size}")


@verb("consistency", "continuity consistency 41 1024", "continuity consistency 41 1024 --json")
@click.argument("old_size", type=click.IntRange(min=1))
@click.argument("new_size", type=click.IntRange(min=1))
@pass_settings
def consistency(settings: Settings, old_size: int, new_size: int) -> None:
    """Prove that the log at NEW_SIZE extends the log at OLD_SIZE.

    Prints the hashes of the proof (RFC 6962) in base64, one a line; for equal sizes there are none.
    """
    if old_size > new_size:
        raise click.UsageError(f"OLD_SIZE {old_size} is more than NEW_SIZE {new_size}", click.get_current_context())
    with settings.opened() as log:
        proof = [write_base64(each) for each in log.consistency(old_size, new_size)]
        roots = (log.root(old_size), log.root(new_size)) if settings.json else ()
    if settings.json:
        old_root, new_root = map(write_base64, roots)
        output.write_json(
            {"old": old_size, "new": new_size, "old_root": old_root, "new_root": new_root, "proof": proof}
        )
        return
    for line in proof:
        output.write_line(line)
