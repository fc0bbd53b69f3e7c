"""``continuity publish``: the log as static files that anybody can check."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ledger.errors import LedgerError
from tools.cli import output
from tools.cli.commands.proofs import FILE
from tools.cli.commands.witness import read_policy, tell
from tools.cli.settings import Settings, pass_settings, verb
from tools.publishing import Publication, Round, backoff
from tools.vaults.opening import open_vault
from tools.vaults.protocol import Vault

ENDPOINT = click.option(
    "--endpoint",
    envvar="CONTINUITY_S3_ENDPOINT",
    show_envvar=True,
    metavar="URL",
    help="The S3 server of an s3:// vault, if it is not AWS.",
)


@verb(
    "publish",
    "continuity publish /srv/www/studio-log",
    "continuity publish /srv/www/studio-log --policy studio.policy --every 60",
    "continuity publish s3://studio-logs/studio --endpoint https://s3.example",
    "continuity publish /srv/www/studio-log --entries --again",
)
@click.argument("place", metavar="DIR_OR_VAULT")
@click.option(
    "--policy",
    "policy_file",
    type=FILE,
    metavar="FILE",
    help="Publish only what these witnesses cosigned.",
)
@click.option("--entries", is_flag=True, help="The entry bundles too: all but private values becomes public.")
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="Publish again and again, until Ctrl-C.")
@click.option("--again", is_flag=True, help="Compare what is there with the ledger, and write anew what is damaged.")
@ENDPOINT
@pass_settings
def publish(
    settings: Settings,
    place: str,
    policy_file: Path | None,
    entries: bool,
    every: int | None,
    again: bool,
    endpoint: str | None,
) -> None:
    """Write checkpoint and tiles as static files (c2sp.org/tlog-tiles), for any web server and any tlog client.

    DIR_OR_VAULT is a folder or s3://BUCKET/PREFIX, whose credentials stand in CONTINUITY_S3_ACCESS_KEY and
    CONTINUITY_S3_SECRET_KEY, or where AWS's own tools look for them.

    At every moment the files belong together: the checkpoint is replaced last. What is there already is not written
    again, by its name; with --again its content is read and compared too, which check-publication does without the
    ledger. A place that holds another log, another history (exit code 21) or a longer one is refused. With --policy the
    checkpoint carries the witnesses' cosignatures, and is published only once their quorum is reached (exit code 20
    otherwise).
    """
    if again and every is not None:
        raise click.UsageError(
            "--again reads all that is there: it does not go with --every", click.get_current_context()
        )
    policy = None if policy_file is None else read_policy(policy_file)
    vault = _vault(place, endpoint)
    with settings.opened() as log:
        publication = Publication(log, settings.folder, vault, policy=policy, entries=entries, again=again)
        if every is None:
            with output.progress("compared" if again else "sent", json=settings.json) as tick:
                done = publication.once(tick)
            _tell(settings, vault, done)
        else:
            _again_and_again(settings, vault, publication, every)


def _vault(place: str, endpoint: str | None) -> Vault:
    try:
        return open_vault(place, endpoint=endpoint)
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None


def _again_and_again(settings: Settings, vault: Vault, publication: Publication, every: int) -> None:
    """Publish at the interval; what fails is told, and tried again less and less often."""
    failures = 0
    while True:
        began = time.monotonic()
        try:
            done = publication.once()
            _tell(settings, vault, done)
            failures = failures + 1 if done.size is None else 0
        except (LedgerError, OSError) as error:
            failures += 1
            fault, advice = output.describe(error)
            if settings.json:
                output.say_json({"error": fault, "advice": advice})
            else:
                output.say(f"{fault}; {advice}" if advice else fault)
        output.flush()  # out of reach of what is tried again: whom nobody listens to any more ends
        time.sleep(max(0.0, began + backoff(every, failures) - time.monotonic()))


def _tell(settings: Settings, vault: Vault, done: Round) -> None:
    tell(settings, done.witnesses, agreed=done.size is not None)
    if settings.json:
        output.write_json({"published": done.size is not None, "size": done.size, "files": done.files})
    elif done.size is not None:
        output.write_line(f"{vault.place}: {done.size:,} entries published, {done.files:,} files written")
