"""``continuity publish``: the log as static files that anybody can check."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ledger.trust_policy import TrustPolicy
from tools.cli import output
from tools.cli.commands.proofs import FILE
from tools.cli.commands.witness import collected_for, read_policy, tell
from tools.cli.settings import Settings, pass_settings, verb
from tools.publish import Published
from tools.publish import publish as write_files

DIR: Any = click.Path(file_okay=False, writable=True, path_type=Path)


@verb(
    "publish",
    "continuity publish /srv/www/studio-log",
    "continuity publish /srv/www/studio-log --policy studio.policy --every 60",
)
@click.argument("folder", type=DIR, metavar="DIR")
@click.option(
    "--policy",
    "policy_file",
    type=FILE,
    metavar="FILE",
    help="Publish only what these witnesses cosigned.",
)
@click.option("--entries", is_flag=True, help="The entry bundles too: all but private values becomes public.")
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="Publish again and again, until Ctrl-C.")
@pass_settings
def publish(settings: Settings, folder: Path, policy_file: Path | None, entries: bool, every: int | None) -> None:
    """Write checkpoint and tiles as static files (c2sp.org/tlog-tiles), for any web server and any tlog client.

    At every moment the files belong together: the checkpoint is replaced last. What is there already is not written
    again. With --policy the checkpoint carries the witnesses' cosignatures, and is published only once their quorum is
    reached (exit code 20 otherwise).
    """
    policy = None if policy_file is None else read_policy(policy_file)
    while True:
        _tell(settings, folder, _publish_once(settings, folder, policy, entries=entries))
        if every is None:
            return
        time.sleep(every)


def _publish_once(settings: Settings, folder: Path, policy: TrustPolicy | None, *, entries: bool) -> Published | None:
    """Publish the log as it stands; None when the witnesses did not agree."""
    with settings.opened() as log:
        if policy is None:
            checkpoint, note = log.checkpoint()
        else:
            checkpoint, collected = collected_for(settings, log, policy)
            tell(settings, collected)
            if not collected.agreed:
                return None
            note = collected.note
        return write_files(log, folder, checkpoint, note, entries=entries)


def _tell(settings: Settings, folder: Path, done: Published | None) -> None:
    if settings.json:
        output.write_json(
            {
                "published": done is not None,
                "size": None if done is None else done.size,
                "files": 0 if done is None else done.files,
            }
        )
    elif done is not None:
        output.write_line(f"{folder}: {done.size:,} entries published, {done.files:,} files written")
