"""The lifecycle of a reservation against a naive model, in random histories."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.errors import LifecycleRefused
from ledger.lifecycle import LOADS, STAGES, TABLES, ReservationState, State, Step, advance

NOW = "2026-03-01T00:00:00.000000Z"


class Reservation(RuleBasedStateMachine):
    """A reservation beside a model that remembers plain facts and decides by the sentences of the design."""

    def __init__(self) -> None:
        super().__init__()
        self.state: State | None = None
        self.begun = False
        self.status, self.stage, self.load = "", "", ""

    def offer(self, name: str, data: dict[str, Any], role: str, *, allowed: bool) -> bool:
        """Offer the event, see that it is taken just when the model allows it, and say whether it was."""
        event = Step(f"reservation.{name}", role, None, NOW, data)
        if not allowed:
            with pytest.raises(LifecycleRefused):
                advance("reservation", self.state, event)
            return False
        self.state = advance("reservation", self.state, event)
        return True

    def live(self) -> bool:
        return self.begun and self.status not in ("cancelled", "completed")

    roles = st.sampled_from(["client", "staff", "service", "system", "admin"])

    @rule(role=roles)
    def request(self, role: str) -> None:
        if self.offer("requested", {}, role, allowed=not self.begun):
            self.begun, self.status, self.stage, self.load = True, "requested", "intake", "queued"

    @rule(role=roles, verb=st.sampled_from(["confirmed", "waitlisted", "cancelled"]))
    def decide(self, role: str, verb: str) -> None:
        if self.offer(verb, {}, role, allowed=self.live() and self.status != verb):
            self.status = verb
            if verb == "cancelled":
                self.stage = "cancelled"

    @rule(
        role=roles,
        to=st.sampled_from(STAGES),
        reason=st.booleans(),
        start=st.sampled_from([None, "right", *STAGES]),
    )
    def move(self, role: str, to: str, reason: bool, start: str | None) -> None:
        data = {"to": to} | ({"reason": "because"} if reason else {})
        if start:
            data["from"] = self.stage if start == "right" and self.begun else start
        order = {stage: place for place, stage in enumerate(STAGES)}
        allowed = self.live() and data.get("from", self.stage) == self.stage and to != self.stage
        if allowed and order[to] < order[self.stage]:
            allowed = role in ("staff", "admin") and reason
        if to == "picked_up":
            allowed = allowed and self.status == "confirmed"
        if self.offer("stage_changed", data, role, allowed=allowed):
            self.stage = to
            if to == "picked_up":
                self.status = "completed"

    @rule(role=roles, to=st.sampled_from(LOADS), start=st.sampled_from([None, *LOADS]))
    def fill(self, role: str, to: str, start: str | None) -> None:
        data = {"to": to} | ({"from": start} if start else {})
        allowed = self.live() and (start is None or start == self.load)
        if (self.load, to) == ("loaded", "queued"):
            allowed = allowed and role in ("staff", "admin")
        else:
            allowed = allowed and (self.load, to) in (("queued", "loading"), ("loading", "loaded"))
        if self.offer("load_changed", data, role, allowed=allowed):
            self.load = to

    @rule(
        role=roles,
        verb=st.sampled_from(
            ["estimate_changed", "station_assigned", "arrival_token_issued", "arrived", "pickup_window_changed"]
        ),
    )
    def note(self, role: str, verb: str) -> None:
        self.offer(verb, {}, role, allowed=self.live())

    @rule(role=roles)
    def judge(self, role: str) -> None:
        self.offer("fairness_recorded", {}, role, allowed=self.begun)

    @rule(
        verb=st.sampled_from(sorted(set(TABLES["reservation"]) - {"stage_changed", "load_changed"})),
        stage=st.sampled_from(STAGES),
    )
    def force(self, verb: str, stage: str) -> None:
        name = verb if self.begun else "stage_changed"
        event = Step(f"reservation.{name}", "admin", "import", NOW, {} if self.begun else {"to": stage})
        after = advance("reservation", self.state, event)
        assert isinstance(after, ReservationState)
        self.state, self.begun = after, True
        self.status, self.stage, self.load = after

    @invariant()
    def it_stands_where_the_model_says(self) -> None:
        assert self.state == ((self.status, self.stage, self.load) if self.begun else None)

    @invariant()
    def a_final_status_and_its_stage_go_together(self) -> None:
        assert (self.status == "cancelled") == (self.stage == "cancelled")
        assert (self.status == "completed") == (self.stage == "picked_up")


TestReservation = Reservation.TestCase
TestReservation.settings = settings(max_examples=150, stateful_step_count=40)
