"""A page of documentation as a program: its ``sh`` blocks are run, its ``text`` blocks are what must come out.

A ``text`` block stands for the output of the ``sh`` block before it: each of its lines must be found there, in that
order; ``…`` stands for any run of characters. Blocks of other kinds are for reading.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "=== end of block {} ==="


class Block(NamedTuple):
    """Commands of one ``sh`` block and the lines that its ``text`` block promises."""

    commands: str
    promised: tuple[str, ...]


def blocks_of(page: str) -> list[Block]:
    """The runnable blocks of a page, in order."""
    blocks: list[Block] = []
    for kind, body in _FENCE.findall(page):
        if kind == "sh":
            blocks.append(Block(body, ()))
        elif kind == "text" and blocks:
            blocks[-1] = blocks[-1]._replace(promised=tuple(body.splitlines()))
    return blocks


def missing_lines(output: str, promised: tuple[str, ...]) -> list[str]:
    """Promised lines that don't follow one another in the output."""
    lines = iter(output.splitlines())
    patterns = [(line, re.compile(".*".join(map(re.escape, line.split("…"))))) for line in promised]
    return [line for line, pattern in patterns if not any(pattern.fullmatch(candidate) for candidate in lines)]


def run_page(page: str, folder: Path, cwd: Path, prepare: str = "", **variables: str) -> list[str]:
    """Run the blocks of a page as one script in ``cwd``; temporary files go to ``folder``. Gives each block's output.

    ``prepare`` runs first and may change the folder. Fails with the whole transcript when any command does.
    """
    marked = "".join(
        f"{block.commands}\necho '{_MARK.format(number)}'\n" for number, block in enumerate(blocks_of(page), 1)
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTINUITY_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(folder)}
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{prepare}\n{marked}"],
        check=False,
        cwd=cwd,
        env=environment | {"NO_COLOR": "1", "COLUMNS": "120"} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}"
    return re.split(_MARK.format(r"\d+") + "\n", done.stdout)[:-1]


def check_page(page: str, folder: Path, cwd: Path, prepare: str = "", **variables: str) -> list[str]:
    """Run a page as ``run_page`` does, and compare what comes out with what it promises."""
    outputs = run_page(page, folder, cwd, prepare, **variables)
    for block, output in zip(blocks_of(page), outputs, strict=True):
        missing = missing_lines(output, block.promised)
        assert not missing, f"after\n{block.commands}\nthe page promises {missing}, but the output is\n{output}"
    return outputs
