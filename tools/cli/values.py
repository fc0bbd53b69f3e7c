"""What the command line takes for a reason code and for a file to be written.

Owns the two types of parameter, so that a wrong one is refused as one (exit code 2) before anything is begun, in the
same words by every verb. Never opens a ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ledger.event import Code
from tools.cli.settings import Settings


class ReasonCode(click.ParamType[str]):
    """Why something is done, as it will stand in the log for all to read: a code, never free text."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that it is a code."""
        try:
            return msgspec.convert(value, Code)
        except msgspec.ValidationError:
            self.fail(f"{value!r} is no code: 1 to 64 of a-z, 0-9, - and _, such as requested", param, ctx)


class OutputFile(click.Path):
    """A file that will be written, in a folder that is there and is no ledger's: its own files are not to be lost."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Check that it is no folder, and stands in one."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {str(path.parent)!r} to write {path.name!r} to", param, ctx)
        settings = Settings() if ctx is None else ctx.ensure_object(Settings)
        for name in settings.ledgers():
            if path.resolve().is_relative_to((settings.data / name).resolve()):
                self.fail(f"{str(path)!r} is in the folder of the ledger {name!r}, which is its own", param, ctx)
        return path


REASON_CODE = ReasonCode()
OUT = OutputFile()
