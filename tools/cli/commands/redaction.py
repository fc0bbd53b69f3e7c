"""``continuity redaction``: the rules by which private values are shown or withheld."""

from __future__ import annotations

import click

from ledger import redaction as rules
from ledger.entry import decode
from ledger.log import Log
from ledger.store.protocol import Row, Selection
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb


@click.group("redaction")
def redaction() -> None:
    """See the rules by which private values are shown or withheld.

    A policy is a list of rules; the first that matches decides, and what none discloses is withheld. Secrets, such as
    arrival tokens, are withheld by every policy. Whatever is withheld is named, with the rule that did it; the entry
    itself never changes, so all proofs hold.
    """


@verb("list", "continuity redaction list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the policies: for whom each is, and for what."""
    policies = list(rules.POLICIES.values())
    if settings.json:
        output.write_json(
            {"policies": [{"name": one.name, "role": one.role, "purpose": one.purpose} for one in policies]}
        )
        return
    width = max(len(one.name) for one in policies)
    for one in policies:
        output.write_line(f"{one.name:<{width}}  {one.role}: {one.purpose}")


@verb("show", "continuity redaction show member")
@click.argument("policy")
@pass_settings
def show(settings: Settings, policy: str) -> None:
    """Show the rules of POLICY in their order. Exit code 10 when there is no such policy."""
    chosen = rules.policy(policy)
    if settings.json:
        output.write_json(chosen)
        return
    output.write_line(f"{chosen.name}, for {chosen.role}: {chosen.purpose}")
    for rule in chosen.rules:
        about = f"{', '.join(rule.fields)} of {', '.join(rule.types)}"
        output.write_line(f"  {rule.name}: {rule.action} {about}; {rule.why}")
    output.write_line("  secret: withhold what is declared a secret, whatever the rules above say")
    output.write_line(f"  {rules.REST}: withhold all else")


@verb(
    "test", "continuity redaction test member --stream reservation:R-2101", "continuity redaction test auditor --json"
)
@click.argument("policy")
@click.option("--stream", metavar="KIND:ID", help="Only entries of this stream.")
@click.option("--member", metavar="ID", help="Only entries about this member.")
@pass_settings
def test(settings: Settings, policy: str, stream: str | None, member: str | None) -> None:
    """Show what POLICY would withhold of this ledger's entries, and by which rule; no value is shown.

    Counts the private values of all entries, or of those of a stream or member, by type and field.
    """
    chosen = rules.policy(policy)
    with settings.opened() as log:
        counts = _counted(log, chosen, Selection(stream=stream, member=member))
    if settings.json:
        fields = [
            {"type": kind, "field": field, "rule": rule, "withheld": rule is not None, "values": count}
            for (kind, field, rule), count in counts.items()
        ]
        output.write_json({"policy": chosen.name, "fields": fields})
        return
    for (kind, field, rule), count in counts.items():
        fate = "disclosed" if rule is None else f"withheld by {rule}"
        output.write_line(f"{kind} {field}: {count:,} {fate}")


def _counted(log: Log, policy: rules.Policy, selection: Selection) -> dict[tuple[str, str, str | None], int]:
    """How many private values there are by type, field and the rule that withholds them (None: disclosed)."""
    counts: dict[tuple[str, str, str | None], int] = {}
    for row in log.scan(selection):
        for kind, field in _fields(row):
            rule = policy.rule_for(kind, field)
            key = kind, field, None if rule is None else rule.name
            counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: item[0][:2]))


def _fields(row: Row) -> list[tuple[str, str]]:
    event = decode(row.entry).event
    return [(event.type, field) for field in event.commitments()]


for each in (list_, show, test):
    redaction.add_command(each)
