"""Redaction: what is not disclosed by a rule is withheld, and said to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import catalog
from ledger.errors import NotFound
from ledger.redaction import GONE, POLICIES, REST, ROLES, SECRET, Policy, Rule, policy, redact

TYPES = st.sampled_from([name for name in catalog.names() if catalog.get(name).private])
actions = st.sampled_from(["disclose", "withhold"])
patterns = st.sampled_from(["*", "reservation.*", "*.registered", "notes", "t*", "nothing"])
rules = st.builds(
    Rule,
    name=st.sampled_from(["a", "b", "c"]),
    action=actions,
    types=st.tuples(patterns),
    fields=st.tuples(patterns),
    why=st.just("because"),
)
policies = st.builds(
    Policy, name=st.just("p"), role=st.just("r"), purpose=st.just("p"), rules=st.lists(rules, max_size=4).map(tuple)
)


@given(policies, TYPES, st.data())
def test_every_private_field_is_shown_or_named_and_no_secret_is_ever_shown(
    chosen: Policy, name: str, data: st.DataObject
) -> None:
    kind = catalog.get(name)
    fields = data.draw(st.sets(st.sampled_from(kind.private), min_size=1))
    open_ = data.draw(st.sets(st.sampled_from(sorted(fields))))

    shown, withheld = redact(chosen, name, fields, dict.fromkeys(open_, "x"))

    assert shown.keys() | withheld.keys() == fields
    assert not shown.keys() & withheld.keys()
    assert shown.keys() <= open_
    assert not shown.keys() & set(kind.withheld)


@given(TYPES)
def test_auditors_and_the_public_are_shown_nothing(name: str) -> None:
    fields = catalog.get(name).private
    for each in ("auditor", "public"):
        shown, withheld = redact(policy(each), name, fields, dict.fromkeys(fields, "x"))
        assert shown == {}
        assert set(withheld.values()) <= {REST, SECRET}


def test_staff_see_all_but_secrets() -> None:
    assert redact(policy("staff"), "reservation.requested", ["notes"], {"notes": "x"}) == ({"notes": "x"}, {})
    assert redact(policy("staff"), "reservation.arrival_token_issued", ["token"], {"token": "x"}) == (
        {},
        {"token": SECRET},
    )


def test_members_are_not_shown_the_remarks_of_staff() -> None:
    own = policy("member")

    assert redact(own, "reservation.requested", ["notes"], {"notes": "x"}).shown == {"notes": "x"}
    assert redact(own, "reservation.fairness_recorded", ["notes"], {"notes": "x"}).withheld == {
        "notes": "internal-remarks"
    }


def test_a_value_that_is_gone_is_said_to_be() -> None:
    assert redact(policy("staff"), "reservation.requested", ["notes"], {}) == ({}, {"notes": GONE})


def test_the_first_rule_that_matches_decides() -> None:
    first = Rule(name="no", action="withhold", fields=("notes",), why="w")
    chosen = Policy(name="p", role="r", purpose="p", rules=(first, Rule(name="yes", action="disclose", why="w")))

    assert redact(chosen, "reservation.requested", ["notes"], {"notes": "x"}).withheld == {"notes": "no"}


def test_every_role_has_a_policy() -> None:
    assert set(ROLES.values()) <= set(POLICIES)


def test_an_unknown_policy_is_not_found_and_the_others_are_named() -> None:
    with pytest.raises(NotFound, match="no redaction policy 'friends'") as refused:
        policy("friends")

    assert "auditor" in refused.value.advice
