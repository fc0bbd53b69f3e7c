"""What a failure looks like to a script: the one table from errors to exit codes.

Owns the numbers and their meaning; docs/reference/cli.md is written from here. Invariant: an error that the table does
not name is a plain failure, never a success.
"""

from __future__ import annotations

from enum import IntEnum

import click

from ledger import errors
from ledger.tiles import InvalidPath
from tools.vaults.protocol import VaultDenied, VaultMissing


class ExitCode(IntEnum):
    """The exit codes of every verb. A number's meaning never changes."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    INCOMPLETE = 3
    NOT_FOUND = 10
    CONFLICT = 11
    DENIED = 12
    NOT_VERIFIED = 20
    FORK = 21
    SIGNATURE = 22
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done; also when whoever reads the output stops listening",
    ExitCode.FAILURE: "failed: the disk, the store, a read-only ledger, anything without a number of its own",
    ExitCode.USAGE: "the command line is wrong, or names a file that can't be read",
    ExitCode.INCOMPLETE: "some of the input was rejected, or all of it",
    ExitCode.NOT_FOUND: "no such ledger, stream, entry, size or bucket",
    ExitCode.CONFLICT: "it exists already, or another process holds it; nothing was changed",
    ExitCode.DENIED: "a key file, a credential or a permission stands in the way",
    ExitCode.NOT_VERIFIED: "verification failed: an audit found a fault, or a proof does not prove",
    ExitCode.FORK: "two histories of one ledger: the store is not what was signed before",
    ExitCode.SIGNATURE: "no known key has signed, or a signature or key is false or malformed",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C; what was acknowledged is recorded",
}
"""What each code tells the caller, in words for the reference page."""

TABLE: dict[type[BaseException], ExitCode] = {
    click.ClickException: ExitCode.USAGE,
    InvalidPath: ExitCode.USAGE,
    errors.EventError: ExitCode.INCOMPLETE,
    errors.NotFound: ExitCode.NOT_FOUND,
    errors.Conflict: ExitCode.CONFLICT,
    errors.Busy: ExitCode.CONFLICT,
    errors.StoreLocked: ExitCode.CONFLICT,
    errors.Denied: ExitCode.DENIED,
    errors.KeyFileError: ExitCode.DENIED,
    PermissionError: ExitCode.DENIED,
    errors.VerificationError: ExitCode.NOT_VERIFIED,
    errors.ForkError: ExitCode.FORK,
    errors.SignatureError: ExitCode.SIGNATURE,
    VaultMissing: ExitCode.NOT_FOUND,
    VaultDenied: ExitCode.DENIED,
    click.Abort: ExitCode.INTERRUPTED,
    KeyboardInterrupt: ExitCode.INTERRUPTED,
}
"""Error classes and their codes; the nearest class of an error counts."""


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code for an error: that of the nearest of its classes which the table names, else a failure."""
    return next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), ExitCode.FAILURE)
