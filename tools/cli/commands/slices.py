"""``continuity slice`` and ``check-slice``: entries that prove themselves, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ledger.slice import verify_slice
from ledger.strict import write_base64
from tools.cli import output
from tools.cli.commands.log import bound
from tools.cli.commands.proofs import FILE, read_keys
from tools.cli.settings import Settings, pass_settings, verb
from tools.files import written
from tools.slices import cut

OUT: Any = click.Path(dir_okay=False, writable=True, path_type=Path)


@verb(
    "slice",
    "continuity slice --out studio.slice",
    "continuity slice --from 2026-03-01 --to 2026-03-31 --out march.slice",
)
@click.option("--from", "first", metavar="START", help="From this position or time on, inclusive.")
@click.option("--to", "last", metavar="END", help="Up to this position or time, inclusive.")
@click.option("--out", type=OUT, required=True, metavar="FILE", help="The file to write, whole or not at all.")
@pass_settings
def slice_(settings: Settings, first: str | None, last: str | None, out: Path) -> None:
    """Cut entries out of the log into a file that proves itself.

    The file holds the exact bytes of consecutive entries, a signed checkpoint and the hashes that make them a part of
    its tree; no private value. check-slice verifies it offline. START and END are positions or times, as for "log".
    """
    with settings.opened() as log:
        start = 0 if first is None else bound(log, first, "--from", end=False)
        end = None if last is None else bound(log, last, "--to", end=True) + 1
        with output.progress("written", json=settings.json) as tick, written(out) as file:
            header = cut(log, file, start, end, tick)
    count, octets = header.end - header.first, out.stat().st_size
    if settings.json:
        output.write_json({"file": str(out), "first": header.first, "entries": count, "bytes": octets})
    else:
        output.write_line(f"{out}: {count:,} entries from position {header.first}, {octets:,} bytes")


@verb("check-slice", "continuity check-slice studio.slice --key studio.vkey")
@click.argument("slice_file", type=FILE)
@click.option(
    "--key", "key_file", type=FILE, required=True, metavar="VKEY_FILE", help="The ledger's verifier keys, one a line."
)
@pass_settings
def check_slice(settings: Settings, slice_file: Path, key_file: Path) -> None:
    """Check offline that a slice is a part of its log; no ledger is needed.

    Exit code 20 when its entries are not proven or the file is damaged, 22 when no known key has signed or a signature
    is false.
    """
    keys = read_keys(key_file)
    with slice_file.open("rb") as file:
        proven = verify_slice(file, keys)
    checkpoint = proven.checkpoint
    if settings.json:
        output.write_json(
            {
                "ok": True,
                "origin": checkpoint.origin,
                "first": proven.first,
                "entries": proven.end - proven.first,
                "size": checkpoint.size,
                "root": write_base64(checkpoint.root),
            }
        )
    else:
        output.write_line(
            f"proven: {proven.end - proven.first:,} entries from position {proven.first} are those of "
            f"{checkpoint.origin}, size {checkpoint.size}"
        )
