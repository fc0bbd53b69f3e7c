"""The reference page of the command, from the command itself: docs/reference/cli.md.

Owns the page's form; every word of a verb comes from the verb. A pure function of the code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from tools.cli.exit_codes import MEANINGS
from tools.cli.feed import MAX_LINE, MAX_WHOLE
from tools.cli.main import cli, verbs
from tools.cli.settings import Verb, options

_INTRODUCTION = """\
# The command

Written by `make docs` from `tools/cli`; don't edit it by hand.

`continuity` works on a data folder of this machine, as its owner; for others there is HTTP. Results go to standard
output, progress and messages to standard error. There is a progress bar on a terminal, a line now and then elsewhere,
and none of it with `--json`; `NO_COLOR` is honoured.
"""

_OPTIONS = """\
## Options of every verb

They stand before the verb or after it. What stands after it wins over what stands before it, that over the environment.
"""

DOCUMENTS: dict[str, str] = {
    "init": "ledger, origin, verifier_keys, api_key",
    "append": "accepted, duplicates, rejected, size, root, seconds",
    "log": "events",
    "show": "stream, kind, version, position, recorded, …",
    "query": "table, position, rows",
    "projections": "projections, size",
    "rebuild": "projections, size, seconds",
    "rollback-projections": "projections, size",
    "audit": "ok, size, root, entries_per_second, first_fault",
    "checkpoint": "origin, size, root, note",
    "prove": "position, proof",
    "check-proof": "ok, origin, position, size, root",
    "consistency": "old, new, old_root, new_root, proof",
    "diff": "from, to, streams",
    "redaction list": "policies",
    "redaction show": "name, role, purpose, rules",
    "redaction test": "policy, fields",
    "publish": "published, size, files",
    "witness init": "name, verifier_keys",
    "witness add-log": "added, removed, logs",
    "keys list": "verifier_keys, epoch, settled, scrubbed, epochs",
    "keys rotate": "position, leaf_hash, retired_keys, verifier_keys",
    "keys export-public": "origin, verifier_keys, generations, rotations",
    "keys rewrap": "epoch, rewrapped, destroyed, awaited, lost, damaged, scrubbed, effective",
    "credentials issue": "id, role, expires, member, api_key",
    "credentials list": "credentials",
    "credentials revoke": "id, role, state",
    "witness keys": "name, verifier_keys",
    "witness collect": "agreed, note, witnesses",
    "replay": "file, position, faults, seconds",
    "attest": "entry, position, projections",
    "check-state": "ok, position, projections, left_out, entries_per_second, first_fault",
    "slice": "file, first, entries, bytes",
    "check-slice": "ok, origin, first, entries, size, root, redaction",
    "version": "version, format, python",
}
"""The fields of each verb's JSON document, in their order."""

_DETAILS = {
    "append": "The first three add up to the events of the input.",
    "credentials list": "Each with id, role, state (active, expired or revoked), expires and member.",
    "keys export-public": "The sizes of the trees that each generation signs; `rotations` with `--history` alone.",
    "audit": "The fault is null, or has position, kind and detail.",
    "log": "CloudEvents; with `--jsonl` one a line.",
    "query": "Each row by column name; `disclosed` has private values, `withheld` the rule for each of the rest.",
    "projections": "A generation each: name, version, generation, position, lag, state, fault.",
    "rollback-projections": "As those of projections.",
    "rebuild": "As those of projections, as they are then.",
    "slice": "With `--member`: file, member, accounts, entries, position, bytes.",
    "check-slice": "Of a history: ok, origin, member, accounts, recorded, size, root, redaction. The redaction is "
    "null or has policy, disclosed, withheld (how many by each rule) and rules (why).",
    "show": "Then status and stage where there are any, the fields, `withheld` (what is not shown), `withheld_by`.",
}

_JSON = """\
With `--json` a verb prints one JSON document on one line. Documents only ever gain fields. Hashes are base64, as in
checkpoints. An error is one object `{"error","advice","exit_code"}` on standard error.
"""

_INPUT = f"""\
## Input of append

NDJSON, one CloudEvent a line of at most {MAX_LINE:,} bytes, is appended as it is read, however much there is. A JSON
array, and any input with `--atomic`, is held in memory and may take {MAX_WHOLE:,} bytes. Either may be compressed with
gzip, from a pipe too. Blank lines and a UTF-8 byte order mark at the start are skipped.

A rejected event is told as `line 12: $.data.window: …`; with `--json`, and in the file of `--rejects`, as a JSON line
`{{"line","path","reason","advice"?}}`. The file holds the `"event"` too, if it is JSON, to be mended and sent again. In
an array the line is the one where the event begins, and the path starts at its element, as `$[3]`. With `--atomic` only
the first fault is told, and all events count as rejected.
"""

_COMPLETION = """\
## Completion in the shell

```console
$ eval "$(_CONTINUITY_COMPLETE=bash_source continuity)"
```

For zsh and fish write `zsh_source` and `fish_source`. It completes verbs, options, ledgers and types.
"""


def cli_page() -> str:
    """Return the page of the command, as Markdown."""
    parts = [
        _INTRODUCTION,
        *_common(),
        *_exit_codes(),
        *_documents(),
        _INPUT,
        *(line for name, each in verbs() for line in _verb(name, each)),
    ]
    return "\n".join([*parts, _COMPLETION])


def _common() -> Iterator[str]:
    yield _OPTIONS
    yield "| option | meaning |"
    yield "|---|---|"
    yield from _rows(options(before_verb=True), click.Context(cli, info_name="continuity"))
    yield ""


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | meaning |"
    yield "|---|---|"
    yield from (f"| {code} | {meaning} |" for code, meaning in MEANINGS.items())
    yield ""
    yield "A service is ended by Ctrl-C with exit code 0. SIGTERM ends it in the same order, and it then dies by that"
    yield "signal, which a shell shows as 143 and service managers take for a clean end."
    yield ""


def _documents() -> Iterator[str]:
    yield "## JSON\n"
    yield _JSON
    yield "| verb | fields | |"
    yield "|---|---|---|"
    yield from (f"| {name} | {fields} | {_DETAILS.get(name, '')} |" for name, fields in DOCUMENTS.items())
    yield ""


def _verb(name: str, command: Verb) -> Iterator[str]:
    context = click.Context(command, info_name=f"continuity {name}")
    yield f"## continuity {name}\n"
    yield f"```text\ncontinuity {name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    common = {option.name for option in options(before_verb=False)}
    rows = list(_rows([each for each in command.params if each.name not in common], context))
    if rows:
        yield "| option | meaning |"
        yield "|---|---|"
        yield from rows
        yield ""
    yield "```console"
    yield from (f"$ {example}" for example in command.examples)
    yield "```\n"


def _rows(parameters: list[click.Parameter], context: click.Context) -> Iterator[str]:
    for parameter in parameters:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            yield f"| `{record[0]}` | {record[1]} |"
