"""``continuity keys``: which keys a ledger has and had, their rotation, and the turning of its epoch.

Never shows a secret.
"""

from __future__ import annotations

import click

from ledger.epochs import Damaged, Settled, Standing
from ledger.key_chain import format_chain
from tools import public_keys
from tools.cli import output
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import REASON_CODE


@click.group("keys")
def keys() -> None:
    """See the keys of a ledger, and replace those that sign, or those that wrap its private values.

    Checkpoints are signed with the signing keys; everybody may have the verifier keys that belong to them.

    Private values are encrypted under a data key of each member and stream; data keys are wrapped under the key of the
    current epoch, which is kept outside the database.
    """


@verb("list", "continuity keys list", "continuity keys list --json | jq .epochs")
@pass_settings
def list_(settings: Settings) -> None:
    """List the verifier keys, and the epochs with how many data keys are wrapped under the key of each.

    Only public keys and numbers are shown. An older epoch whose key is still there is one that was not settled: finish
    it with "continuity keys rewrap".
    """
    with settings.opened() as log:
        standing, verifier_keys = log.epochs.standing(), [str(key) for key in log.verifier_keys]
    if settings.json:
        output.write_json(
            {
                "verifier_keys": verifier_keys,
                "epoch": standing.epoch,
                "settled": standing.settled,
                "scrubbed": standing.scrubbed,
                "epochs": [
                    {"epoch": epoch, "data_keys": standing.wrapped.get(epoch, 0), "present": epoch in standing.present}
                    for epoch in _epochs(standing)
                ],
            }
        )
        return
    for key in verifier_keys:
        output.write_line(key)
    for epoch in _epochs(standing):
        count, marks = standing.wrapped.get(epoch, 0), []
        if epoch == standing.epoch:
            marks.append("current")
        elif epoch in standing.present:
            marks.append("not settled: continuity keys rewrap" if epoch < standing.epoch else "not begun")
        if epoch not in standing.present:
            marks.append("its key is not there")
        output.write_line(f"epoch {epoch}: {count:,} data keys; {', '.join(marks)}")
    if not standing.scrubbed:
        output.write_line("the store's files may hold bytes of what was deleted: continuity keys rewrap")


def _epochs(standing: Standing) -> list[int]:
    return sorted({*standing.wrapped, *standing.present, standing.epoch})


@verb("rewrap", "continuity keys rewrap", "continuity keys rewrap --json", "continuity keys rewrap --give-up-damaged")
@click.option("--give-up-damaged", is_flag=True, help="Destroy old epoch keys though damaged data keys need them.")
@pass_settings
def rewrap(settings: Settings, give_up_damaged: bool) -> None:
    """Turn the epoch: wrap all data keys under a new epoch key, and destroy the old one.

    The ledger can be served and appended to meanwhile. Where a turn was interrupted, that one is finished instead. Keys
    that come from the environment or a command are the operator's to make and to destroy: exit code 3 tells of those
    that are still there. It tells too of damaged data keys, for whose sake the old epoch key is kept, in case they can
    be mended from a backup of the database: if not, give them up.
    """
    with settings.opened() as log, output.progress("re-wrapped", json=settings.json) as tick:
        if log.epochs.standing().settled:
            log.epochs.turn()
        settled = log.epochs.settle(tick, give_up_damaged=give_up_damaged)
    if not settled.effective:
        settings.outcome = ExitCode.INCOMPLETE
    if settings.json:
        output.write_json(settled_json(settled))
        return
    output.write_line(f"epoch {settled.epoch}: {settled.rewrapped:,} data keys re-wrapped")
    tell_settled(settled)


def settled_json(settled: Settled) -> dict[str, object]:
    """What came of settling, as JSON; the keys of ``lost`` are epochs as text."""
    return {
        "epoch": settled.epoch,
        "rewrapped": settled.rewrapped,
        "destroyed": settled.destroyed,
        "awaited": settled.awaited,
        "lost": {str(epoch): count for epoch, count in settled.lost.items()},
        "damaged": settled.damaged,
        "scrubbed": settled.scrubbed,
        "effective": settled.effective,
    }


def tell_settled(settled: Settled) -> None:
    """Tell people which keys are destroyed, which they have to destroy themselves, and what no longer opens."""
    for epoch in settled.destroyed:
        output.write_line(f"the key of epoch {epoch} is destroyed")
    for epoch in settled.awaited:
        output.say(f"the key of epoch {epoch} is yours to destroy, where you keep it; then repeat this")
    for epoch, count in settled.lost.items():
        output.say(f"{count:,} data keys are wrapped under epoch {epoch}, whose key is not there: they stay so")
    tell_open(settled.damaged, scrubbed=settled.scrubbed)


def tell_open(damaged: list[Damaged], *, scrubbed: bool) -> None:
    """Tell people what keeps an older key from being destroyed, and whether bytes may be left."""
    for one in damaged:
        output.say(f"{one} is damaged, so that epoch's key is kept")
    if damaged:
        output.say("mend them from a backup of the database, or: continuity keys rewrap --give-up-damaged")
    if not scrubbed:
        output.say("a reader keeps bytes of what was deleted in the store's files; they go when it is done")


@verb(
    "rotate",
    "continuity keys rotate --reason scheduled",
    "continuity keys rotate --reason compromised --yes --json",
)
@click.option(
    "--reason",
    type=REASON_CODE,
    required=True,
    help="Why, as a code, such as scheduled or compromised.",
)
@click.option("--yes", is_flag=True, help="Don't ask for the ledger's name to be typed.")
@pass_settings
def rotate(settings: Settings, reason: str, yes: bool) -> None:
    """Replace the signing keys by new ones, and destroy the old.

    The log says so in an entry that old and new keys sign, and the tree up to it is signed by both: so whoever trusts
    an earlier key can follow, with "continuity keys export-public --history". The ledger can be served and appended to
    meanwhile; a running service signs with the new keys from then on. If it is interrupted, the next checkpoint ends
    it. Afterwards back up the key folder, and give the rotations to witnesses: they refuse the new keys till then.
    """
    with settings.opened() as log:
        retired = [str(key) for key in log.verifier_keys]
        if not yes:
            output.say(f"the signing keys of {log.origin} are replaced, and the old ones destroyed")
            name = click.prompt(f"Type {settings.ledger} to go on", err=True, default="", show_default=False)
            if name != settings.ledger:
                raise click.Abort
        receipt = log.rotate_keys(reason)
        now = [str(key) for key in log.verifier_keys]
    if settings.json:
        output.write_json(
            {
                "position": receipt.position,
                "leaf_hash": receipt.leaf_hash,
                "retired_keys": retired,
                "verifier_keys": now,
            }
        )
        return
    output.say(f"the keys are rotated by the entry at position {receipt.position}; these hold from now on:")
    for key in now:
        output.write_line(key)


@verb(
    "export-public",
    "continuity keys export-public > studio.vkey",
    "continuity keys export-public --history > studio.rotations",
    "continuity --data ./copy keys export-public",
)
@click.option("--history", is_flag=True, help="Print all rotations instead, with signatures and proofs.")
@pass_settings
def export_public(settings: Settings, history: bool) -> None:
    """Print the verifier keys that hold now, one a line: what others check the ledger with.

    They are read from the log alone, so a copy of its file is enough and no key folder is needed. A key proves nothing
    that comes on the same way as the log: give it to others on another. With --history the rotations are printed, by
    which a verifier follows from any earlier key: check-proof, check-slice, replay and "witness add-log" take them.
    """
    with settings.store_alone() as store:
        known, links = public_keys.read(store, proofs=history)
    text = format_chain(links)
    if settings.json:
        document: dict[str, object] = {
            "origin": known.current.keys[0].name,
            "verifier_keys": [str(key) for key in known.current.keys],
            "generations": [
                {"first_size": one.first, "last_size": one.last, "verifier_keys": [str(key) for key in one.keys]}
                for one in known.generations
            ],
        }
        output.write_json(document | ({"rotations": text.decode()} if history else {}))
    elif history:
        output.write(text)
    else:
        for key in known.current.keys:
            output.write_line(str(key))


for each in (list_, rotate, export_public, rewrap):
    keys.add_command(each)
