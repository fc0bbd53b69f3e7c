"""Annexes: what goes with an entry of its private values is checked against its commitments, or refused."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from ledger import annex, canonical, privacy
from ledger.annex import Redaction, frame, open_annex, read_annex, read_redaction, write_annex, write_redaction
from ledger.entry import Actor, EventBody
from ledger.errors import VerificationError
from ledger.redaction import POLICIES

REDACTION = Redaction("member", {"secret": "no use", "internal-remarks": "remarks", "gone": "erased"})
RULES = st.sampled_from(sorted(REDACTION.rules))
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9._-]{0,12}", fullmatch=True)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def committed(values: dict[str, Any]) -> tuple[EventBody, dict[str, bytes]]:
    """An event with these private values, and its disclosures by name."""
    made = [privacy.commit(name, value) for name, value in values.items()]
    body = EventBody(
        actor=Actor("a", "staff"),
        data=Raw(b"{}"),
        id="1",
        private={one.name: one.commitment for one in made} or UNSET,
        source="s",
        stream="member:M",
        time="2026-01-01T00:00:00Z",
        type="member.registered",
        v=1,
    )
    return body, {one.name: one.disclosure for one in made}


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.data())
def test_what_is_kept_comes_back_and_the_rest_is_accounted_for(values: dict[str, Any], data: st.DataObject) -> None:
    body, disclosures = committed(values)
    kept = {name: one for name, one in disclosures.items() if data.draw(st.booleans())}
    withheld = {name: data.draw(RULES) for name in disclosures if name not in kept}

    made = write_annex(kept, withheld)

    assert (made == b"") == (not values)
    file = io.BytesIO(frame(made) + b"rest")
    assert read_annex(file, body) == made
    assert file.read() == b"rest"
    opened = open_annex(made, body, REDACTION)
    assert canonical.dumps(opened.disclosed) == canonical.dumps({name: values[name] for name in kept})
    assert opened.withheld == withheld


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_no_changed_byte_of_an_annex_goes_unnoticed(values: dict[str, Any], data: st.DataObject) -> None:
    body, disclosures = committed(values)
    made = write_annex(disclosures, {})
    at = data.draw(st.integers(0, len(made) - 1))
    bad = made[:at] + bytes([made[at] ^ data.draw(st.integers(1, 255))]) + made[at + 1 :]

    with pytest.raises(VerificationError):
        open_annex(bad, body, REDACTION)


BODY, KEPT = committed({"email": "z@example.org", "name": "Zoë"})
OTHER = committed({"email": "other@example.org", "name": "Other"})[1]
GOOD = {"disclosed": [KEPT[name].decode() for name in sorted(KEPT)], "withheld": {}}


def with_(**parts: Any) -> bytes:
    return canonical.dumps(GOOD | parts)


def text(name: str) -> str:
    return KEPT[name].decode()


SWAPPED = privacy.commit("name", "z@example.org", bytes(16))
HOSTILE = {
    "a forged disclosure": (
        with_(disclosed=[text("email"), privacy.commit("name", "Eve").disclosure.decode()]),
        "covers",
    ),
    "one of another entry": (with_(disclosed=[text("email"), OTHER["name"].decode()]), "no commitment of the entry"),
    "a swapped name": (with_(disclosed=[text("email"), SWAPPED.disclosure.decode()]), "no commitment of the entry"),
    "a disclosure twice": (with_(disclosed=[text("email"), text("email")]), "twice or out of order"),
    "another order": (with_(disclosed=[text("name"), text("email")]), "twice or out of order"),
    "one that no commitment covers": (
        with_(disclosed=[*map(text, sorted(KEPT)), privacy.commit("zip", "1").disclosure.decode()]),
        "discloses 'zip'",
    ),
    "a field left out": (with_(disclosed=[text("email")]), "see 'name'"),
    "a field withheld that it has not": (with_(withheld={"phone": "secret"}), "see 'phone'"),
    "a field disclosed and withheld": (with_(withheld={"name": "secret"}), "see 'name'"),
    "a rule that the policy has not": (with_(disclosed=[text("email")], withheld={"name": "mood"}), "'mood'"),
    "no disclosure at all": (with_(disclosed=["!!"]), "no disclosure"),
    "padding": (with_(disclosed=[text("email") + "="]), "no disclosure|covers"),
    "text beyond ASCII": (with_(disclosed=["é"]), "no disclosure"),
    "JSON of another shape": (b"[]", "not canonical JSON"),
    "a further key": (canonical.dumps(GOOD | {"more": 1}), "not canonical JSON"),
    "another spelling": (with_().replace(b":", b": ", 1), "not canonical JSON"),
    "nothing": (b"", "not canonical JSON"),
    "too deep": (b"[" * 100_000, "not canonical JSON"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_annex_is_refused_and_told_apart(case: str) -> None:
    assert open_annex(canonical.dumps(GOOD), BODY, REDACTION).disclosed["name"] == "Zoë"
    bad, why = HOSTILE[case]
    with pytest.raises(VerificationError, match=why):
        open_annex(bad, BODY, REDACTION)


def test_a_disclosure_larger_than_any_is_refused() -> None:
    large = privacy.commit("name", "x", bytes(16)).disclosure + b"A" * privacy.MAX_DISCLOSURE
    with pytest.raises(VerificationError, match="too large"):
        open_annex(with_(disclosed=[text("email"), large.decode()]), BODY, REDACTION)


def test_an_annex_for_an_entry_without_private_fields_is_refused() -> None:
    body, _ = committed({})
    assert open_annex(b"", body, REDACTION) is annex.NOTHING
    with pytest.raises(VerificationError, match="private field"):
        open_annex(with_(disclosed=[], withheld={"name": "secret"}), body, REDACTION)


def test_a_length_beyond_what_the_entry_accounts_for_is_refused_before_it_is_read() -> None:
    class Endless(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1) -> bytes:
            self.asked += size or 0
            return b"\xff" * (size or 0)

    file = Endless()
    with pytest.raises(VerificationError, match="larger than that of this entry"):
        read_annex(file, BODY)
    assert file.asked == annex.LENGTH
    for cut in (b"", b"\0\0\0", b"\0\0\0\5abcd"):
        with pytest.raises(VerificationError, match="cut short"):
            read_annex(io.BytesIO(cut), BODY)


@pytest.mark.parametrize("name", [*POLICIES, None])
def test_the_line_of_a_redaction_comes_back_as_it_was_written(name: str | None) -> None:
    redaction = None if name is None else POLICIES[name].statement()
    assert read_redaction(write_redaction(redaction)) == redaction


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"None",
        b"{}",
        b'{"policy":"x"}',
        b'{"policy":"x","rules":{},"z":1}',
        b'{"rules":{},"policy":"x"}',
        b'{"policy":"No","rules":{}}',
        b'{"policy":"x","rules":{"A B":"w"}}',
        b'{"policy":"x","rules":{"a":1}}',
        b"[" * 9000,
    ],
)
def test_another_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"redaction|codes"):
        read_redaction(line)
