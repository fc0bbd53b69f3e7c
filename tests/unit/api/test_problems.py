"""Problems: one table, stable names, nothing told that should not be."""

import inspect
import re

from api import problems
from ledger import errors, tiles
from ledger.errors import LedgerError


def known_errors() -> set[type[LedgerError]]:
    found = set()
    for module in (errors, problems, tiles):
        found |= {one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, LedgerError)}
    return found


def test_every_error_a_request_can_meet_has_a_type_of_its_own():
    roots = {LedgerError, errors.EventError, problems.RequestError}
    ours = {errors.VerificationError, errors.ProofError, errors.SignatureError, errors.MalformedNote}
    # What is stored does not verify: a fault of ours, told to nobody.
    ours |= {errors.UnknownKey, errors.BadSignature, errors.RetiredKey, errors.MalformedRotation}
    ours |= {errors.MalformedPolicy}  # of policies that are read when a program starts
    ours |= {errors.StoreDamaged}  # told as any failure of the store
    assert known_errors() - roots - ours == set(problems.TABLE)
    slugs = [kind.slug for kind in problems.TABLE.values()]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)


def test_an_error_of_ours_says_nothing_of_itself():
    for error in (
        RuntimeError("a name"),
        errors.StoreError("/data/x"),
        errors.KeyFileError("/keys"),
        errors.ProofError("x"),
    ):
        told = problems.describe(error)
        assert told["status"] >= 500
        assert str(error) not in str(told)


def test_a_subclass_without_a_type_takes_its_parents():
    class Special(errors.InvalidEvent):
        pass

    assert problems.kind_of(Special("x")).slug == "invalid-event"


def test_the_reference_page_lists_every_type_with_its_status(repository):
    page = (repository / "docs" / "reference" / "http.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", page, re.MULTILINE))
    assert listed == {(kind.slug, str(kind.status)) for kind in [*problems.TABLE.values(), problems.INTERNAL]}
