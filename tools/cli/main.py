"""The entry point: the group of all verbs, and what becomes of their errors.

Owns the order of help, the translation of every error into a message and an exit code, and the quiet end of a pipe that
nobody reads any more. Verbs raise; only this module exits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ledger import collector
from ledger.errors import LedgerError
from tools.cli import output
from tools.cli.commands import (
    append,
    audit,
    check_publication,
    credentials,
    diff,
    erase,
    init,
    keys,
    log,
    projections,
    proofs,
    publish,
    query,
    rebuild,
    redaction,
    serve,
    show,
    slices,
    state,
    version,
    witness,
)
from tools.cli.exit_codes import ExitCode, exit_code_of
from tools.cli.settings import Settings, Verb, options


class Program(click.Group):
    """The group; lists its verbs in the order of their use, and ends quietly when its reader has gone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which they were added, which is that of a ledger's life."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; its outcome is its exit code, also where its output found no reader."""
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _abandon_stdout()
        return ctx.ensure_object(Settings).outcome


@click.group(
    cls=Program,
    name="continuity",
    params=options(before_verb=True),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 failure, 2 usage, 3 incomplete, 10 not found, 11 conflict, 12 denied, "
    "20 not verified, 21 fork, 22 signature, 130 interrupted.",
)
@click.version_option(version.VERSION, prog_name="continuity")
def cli() -> None:
    """Keep a studio's history so that it can't be lost, changed unnoticed, or held hostage.

    The options --data, --store, --ledger and --json may also stand after the verb.
    """


for each in (
    init.init,
    append.append,
    log.log,
    show.show,
    diff.diff,
    query.query,
    state.replay,
    state.attest,
    state.check_state,
    projections.projections,
    rebuild.rebuild,
    projections.rollback_projections,
    audit.audit,
    proofs.checkpoint,
    proofs.prove,
    proofs.check_proof,
    proofs.consistency,
    slices.slice_,
    slices.check_slice,
    redaction.redaction,
    publish.publish,
    check_publication.check_publication,
    erase.erase,
    erase.purge,
    keys.keys,
    credentials.credentials,
    witness.witness,
    serve.serve,
    version.version,
):
    cli.add_command(each)


def verbs(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, Verb]]:
    """All verbs with their whole names, such as ``witness serve``, in their order."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, f"{before}{name} ")
        elif isinstance(command, Verb):
            yield before + name, command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, ``sys.argv`` unless arguments are given; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    json = "--json" in given  # asked for even where the rest of the line does not parse
    try:
        with collector.eased():
            return int(cli.main(given, prog_name="continuity", standalone_mode=False) or ExitCode.OK)
    except (LedgerError, click.ClickException, click.Abort, OSError) as error:
        code = exit_code_of(error)
        output.report(error, code, json=json)
        return code
    except Exception as error:
        if not json:
            raise  # a fault of the program: its traceback is what a report needs; Python exits with 1
        output.report(error, ExitCode.FAILURE, json=True)
        return ExitCode.FAILURE


def _abandon_stdout() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not complain at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
