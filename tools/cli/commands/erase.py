"""``continuity erase`` and ``purge``: destroy the private values of a member, or of a record, and nothing else."""

from __future__ import annotations

import click
import msgspec

from ledger import erasure
from ledger.erasure import ErasureReceipt, Plan, Target
from ledger.errors import Held
from tools.cli import output
from tools.cli.commands.keys import tell_open
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import REASON_CODE

REASON = click.option("--reason", type=REASON_CODE, required=True, help="Why, as a code, such as requested.")
YES = click.option("--yes", is_flag=True, help="Don't ask for the name to be typed again.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would go and which holds forbid it; change nothing.")


@verb(
    "erase",
    "continuity erase M-1002 --reason requested --dry-run",
    "continuity erase M-1002 --reason requested",
    "continuity erase M-1002 --reason requested --yes --json > receipt.json",
)
@click.argument("member")
@REASON
@YES
@DRY_RUN
@pass_settings
def erase(settings: Settings, member: str, reason: str, yes: bool, dry_run: bool) -> None:
    """Destroy all private values of MEMBER, in every stream, for good; entries and proofs stay whole.

    The log says so in an entry, member.erased. Values and their keys are deleted in the transaction that appends it,
    the epoch turns, and all other data keys are wrapped anew; then the old epoch key is destroyed, and the receipt is
    effective: what copies and backups still hold can't be opened. Keep backups of the key folder apart, and let them
    expire. Refused under a hold (exit 11). Repeat it if it was interrupted.
    """
    _destroy(settings, Target(member=member), member, reason, yes, dry_run)


@verb(
    "purge",
    "continuity purge record:glaze-celadon-04 --reason retention --dry-run",
    "continuity purge record:glaze-celadon-04 --reason retention --yes",
)
@click.argument("record")
@REASON
@YES
@DRY_RUN
@pass_settings
def purge(settings: Settings, record: str, reason: str, yes: bool, dry_run: bool) -> None:
    """Destroy all private values of RECORD, given as record:ID, 30 days or more after it was put in the trash.

    As erase, for one record: the log says so in an entry, record.purged. Refused under a hold (exit 11).
    """
    if not record.startswith("record:"):
        raise click.BadParameter(f"{record!r} is no record:ID", click.get_current_context(), param_hint="RECORD")
    _destroy(settings, Target(record=record), record, reason, yes, dry_run)


def _destroy(settings: Settings, target: Target, name: str, reason: str, yes: bool, dry_run: bool) -> None:
    with settings.opened() as log:
        plan = erasure.plan(log, target)
        if dry_run:
            _show_plan(settings, plan)
            return
        if plan.holds:
            raise Held(str(target), [hold.stream for hold in plan.holds])
        if not yes:
            _tell_plan(plan)
            if click.prompt(f"Type {name} to destroy this for good", err=True, default="", show_default=False) != name:
                raise click.Abort
        with output.progress("re-wrapped", json=settings.json) as tick:
            receipt = erasure.erase(log, target, reason, progress=tick)
    if not receipt.effective:
        settings.outcome = ExitCode.INCOMPLETE
    _show_receipt(settings, receipt)


def _show_plan(settings: Settings, plan: Plan) -> None:
    if plan.holds:
        settings.outcome = ExitCode.CONFLICT
    if settings.json:
        output.write_json({"streams": plan.streams, "holds": plan.holds, "accounts": plan.accounts})
        return
    for account in plan.accounts:
        output.write_line(f"{account} goes along: its account was merged into this one")
    for part in plan.streams:
        output.write_line(f"{part.stream}: {part.disclosures} entries with private values, {part.keys} keys")
    for hold in plan.holds:
        scope = hold.scope if hold.target is None else f"{hold.scope} {hold.target}"
        output.write_line(f"kept by {hold.stream}: {scope}, {hold.reason}")


def _tell_plan(plan: Plan) -> None:
    entries, keys = sum(part.disclosures for part in plan.streams), sum(part.keys for part in plan.streams)
    output.say(f"{entries:,} entries with private values and {keys:,} keys, in {len(plan.streams):,} streams")
    if plan.accounts:
        output.say(f"with the accounts that were merged into this one: {', '.join(plan.accounts)}")


def _show_receipt(settings: Settings, receipt: ErasureReceipt) -> None:
    if settings.json:
        output.write(msgspec.json.encode(receipt) + b"\n")
        return
    when = "effective" if receipt.effective else "not effective yet"
    output.write_line(f"erased by the entry at position {receipt.position}, {when}, epoch {receipt.epoch}")
    output.write_line(f"leaf hash {receipt.leaf_hash}")
    for account in receipt.accounts:
        output.write_line(f"with it {account.member}, at position {account.position}, leaf hash {account.leaf_hash}")
    for epoch in receipt.awaited:
        output.say(f"the key of epoch {epoch} is yours to destroy, where you keep it; then repeat this")
    tell_open(receipt.damaged, scrubbed=not receipt.unscrubbed)
