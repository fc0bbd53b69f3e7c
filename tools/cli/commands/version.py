"""``continuity version``: which program this is."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

from ledger.entry import FORMAT_VERSION
from tools.cli import output
from tools.cli.settings import Settings, pass_settings, verb

VERSION = installed("continuity-ledger")
"""Version of the installed program."""


@verb("version", "continuity version --json")
@pass_settings
def version(settings: Settings) -> None:
    """Show the versions of program, entry format and Python."""
    if settings.json:
        output.write_json({"version": VERSION, "format": FORMAT_VERSION, "python": platform.python_version()})
    else:
        output.write_line(f"continuity {VERSION}, entry format {FORMAT_VERSION}, Python {platform.python_version()}")
