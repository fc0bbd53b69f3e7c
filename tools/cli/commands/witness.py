"""``continuity witness``: be a witness of logs, or have a ledger's checkpoints cosigned by witnesses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import uvicorn

from ledger.errors import MalformedPolicy
from ledger.key_chain import MAX_CHAIN, parse_chain
from ledger.trust_policy import TrustPolicy, parse_policy
from tools.cli import output
from tools.cli.commands.proofs import FILE, read_file, read_keys
from tools.cli.commands.serve import CONNECTION, logging_of, warn_of
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb
from tools.cli.values import OUT
from tools.files import written
from tools.witness import Witness
from tools.witnessing import Answer, witnesses_of
from tools.witnessing import collect as ask_witnesses

APPLICATION = "api.witness:create_app"
"""Named, not imported: the tools stand below the service."""
MOST_CONNECTIONS = 200
"""Connections at once; more are answered with 503."""
STOP_SECONDS = 15
"""How long requests in progress may keep it from ending: longer than any of them may take to arrive."""

DIR: Any = click.Path(file_okay=False, path_type=Path)


@click.group("witness")
def witness() -> None:
    """Be a witness of logs, or have this ledger's checkpoints cosigned by witnesses.

    A witness remembers the last tree of each log it knows, and cosigns only what extends it: so whoever rewrites a
    history, rolls it back or shows two of them gets no more cosignatures (c2sp.org/tlog-witness).
    """


@verb("init", "continuity witness init ./witness --name witness.example/w1 > w1.vkey")
@click.argument("folder", type=DIR, metavar="DIR")
@click.option("--name", required=True, help="The witness's name, such as a domain and path; no spaces and no plus.")
@pass_settings
def init(settings: Settings, folder: Path, name: str) -> None:
    """Make a witness with fresh keys in DIR and print its verifier keys."""
    _show_keys(settings, Witness.create(folder, name))


@verb(
    "add-log",
    "continuity witness add-log ./witness --key studio.vkey",
    "continuity witness add-log ./witness --rotations studio.rotations",
)
@click.argument("folder", type=DIR, metavar="DIR")
@click.option("--key", "key_file", type=FILE, metavar="VKEY_FILE", help="The log's verifier keys.")
@click.option(
    "--rotations", type=FILE, metavar="FILE", help="How a known log's keys were rotated: export-public --history."
)
@pass_settings
def add_log(settings: Settings, folder: Path, key_file: Path | None, rotations: Path | None) -> None:
    """Let the witness in DIR know a log by its verifier keys, one a line; a running one knows it at once.

    When a log has rotated its keys, give the rotations: they are followed from the keys that are known here, and what
    only a retired key has signed is cosigned no more. Until then the witness refuses what the new keys sign (403).
    """
    if (key_file is None) == (rotations is None):
        raise click.UsageError("give either --key or --rotations", click.get_current_context())
    made = Witness(folder)
    added, removed = 0, 0
    if key_file is not None:
        added = sum(made.add_log(key) for key in read_keys(key_file))
    if rotations is not None:
        _, added, removed = made.follow(parse_chain(read_file(rotations, MAX_CHAIN)))
    logs = sorted({key.name for key in made.logs()})
    if settings.json:
        output.write_json({"added": added, "removed": removed, "logs": logs})
    else:
        gone = f", {removed} retired ones removed" if removed else ""
        output.write_line(f"{added} keys added{gone}; it knows {', '.join(logs)}")


@verb("serve", "continuity witness serve ./witness --port 8090")
@click.argument("folder", type=DIR, metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@pass_settings
def serve(settings: Settings, folder: Path, host: str, port: int) -> None:
    """Serve the witness in DIR over HTTP: add-checkpoint for logs, and the last checkpoints for monitors.

    It speaks plain HTTP: beyond this machine, put a proxy before it that speaks TLS. Ends on Ctrl-C or SIGTERM, once
    the requests in progress are answered.
    """
    Witness(folder)
    warn_of(host)
    os.environ["CONTINUITY_WITNESS"] = str(folder)
    try:
        uvicorn.run(
            APPLICATION,
            factory=True,
            http=CONNECTION,
            host=host,
            port=port,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS,
            access_log=False,
            log_config=logging_of(),
        )
    except SystemExit as ended:  # uvicorn's own codes mean other things than ours
        settings.outcome = ExitCode.FAILURE if ended.code else ExitCode.OK


@verb("keys", "continuity witness keys ./witness > w1.vkey")
@click.argument("folder", type=DIR, metavar="DIR")
@pass_settings
def keys(settings: Settings, folder: Path) -> None:
    """Print the verifier keys of the witness in DIR: what policies name it by."""
    _show_keys(settings, Witness(folder))


@verb("collect", "continuity witness collect --policy studio.policy --out studio.checkpoint")
@click.option(
    "--policy",
    "policy_file",
    type=FILE,
    required=True,
    metavar="FILE",
    help="Whom to ask, and how many have to agree (c2sp.org/tlog-policy); witnesses with a URL are asked.",
)
@click.option("--out", type=OUT, metavar="FILE", help="Write the cosigned checkpoint here too.")
@pass_settings
def collect(settings: Settings, policy_file: Path, out: Path | None) -> None:
    """Have this ledger's checkpoint cosigned by the witnesses of a policy, and print it.

    It is kept in the ledger's folder as witnessed.checkpoint once the quorum is reached. Exit code 20 when it is not:
    those who refused and why stand on standard error. A witness that knows another history refuses for ever.
    """
    policy = read_policy(policy_file)
    with settings.opened() as log:
        _, collected = ask_witnesses(log, settings.folder, witnesses_of(policy, settings.folder))
    tell(settings, collected.answers, agreed=collected.agreed)
    if collected.agreed and out is not None:
        with written(out, 0o644) as file:
            file.write(collected.note)
    if settings.json:
        answers = [{"name": one.name, "outcome": one.outcome, "detail": one.detail} for one in collected.answers]
        output.write_json({"agreed": collected.agreed, "note": collected.note.decode(), "witnesses": answers})
    elif collected.agreed:
        output.write(collected.note)


def read_policy(path: Path) -> TrustPolicy:
    """The trust policy in a file. Raises ``MalformedPolicy``."""
    try:
        return parse_policy(read_file(path))
    except click.UsageError as error:
        raise MalformedPolicy(error.message) from None


def tell(settings: Settings, answers: Sequence[Answer], *, agreed: bool) -> None:
    """Tell people who did not cosign, and set the outcome of the verb."""
    for one in answers:
        if one.outcome != "cosigned" and not settings.json:
            output.say(f"{one.name}: {one.outcome}: {one.detail}")
    settings.outcome = ExitCode.OK if agreed else ExitCode.NOT_VERIFIED
    if not agreed and not settings.json:
        output.say("the quorum is not reached")


def _show_keys(settings: Settings, made: Witness) -> None:
    texts = list(map(str, made.keys))
    if settings.json:
        output.write_json({"name": made.name, "verifier_keys": texts})
    else:
        for text in texts:
            output.write_line(text)


for each in (init, add_log, keys, serve, collect):
    witness.add_command(each)
