"""Every error has one exit code, that of the nearest class which the table names."""

from __future__ import annotations

import click
import pytest

from ledger import errors
from ledger.tiles import InvalidPath
from tools.cli.exit_codes import MEANINGS, TABLE, ExitCode, exit_code_of

EXPECTED = {
    errors.LedgerError("x"): 1,
    errors.StoreError("x"): 1,
    errors.StoreFull("x"): 1,
    errors.StoreUnreachable("x"): 1,
    errors.ReadOnly("x"): 1,
    OSError(28, "No space left on device"): 1,
    ZeroDivisionError(): 1,
    click.UsageError("x"): 2,
    click.BadParameter("x"): 2,
    InvalidPath("x"): 2,
    errors.InvalidEvent("x"): 3,
    errors.RoleDenied("x"): 3,
    errors.IdConflict(1, "time"): 3,
    errors.NotFound("x"): 10,
    errors.Conflict("x"): 11,
    errors.Busy("x"): 11,
    errors.Denied("x"): 12,
    errors.KeyFileError("x"): 12,
    PermissionError(13, "Permission denied"): 12,
    errors.VerificationError("x"): 20,
    errors.ProofError("x"): 20,
    errors.ForkError("x"): 21,
    errors.SignatureError("x"): 22,
    errors.MalformedNote("x"): 22,
    errors.UnknownKey("x"): 22,
    errors.BadSignature("x"): 22,
    click.Abort(): 130,
    KeyboardInterrupt(): 130,
}


@pytest.mark.parametrize(("error", "code"), EXPECTED.items(), ids=lambda value: type(value).__name__)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


def test_the_codes_are_those_of_the_contract_and_each_has_a_meaning() -> None:
    assert sorted(ExitCode) == [0, 1, 2, 3, 10, 11, 12, 20, 21, 22, 130]
    assert set(MEANINGS) == set(ExitCode)


def test_no_error_counts_as_success() -> None:
    assert ExitCode.OK not in TABLE.values()
