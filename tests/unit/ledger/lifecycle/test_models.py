"""The lifecycle of every kind against a naive model, in random histories of one stream.

Every step that the model takes is taken and leads where the model says; every other is refused, naming state and event.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ledger import lifecycle
from ledger.errors import LifecycleRefused
from ledger.lifecycle import LIFECYCLES, State, Step, advance, describe
from ledger.moment import recorded
from tests.unit.ledger.lifecycle.models import MODELS, Model
from tests.unit.ledger.lifecycle.steps import CELLS

HOUR = 3_600_000_000
BEGINNING = 1_772_323_200_000_000  # 2026-03-01


class Stream(RuleBasedStateMachine):
    """One stream beside its model. Subclasses name the kind."""

    kind: str

    def __init__(self) -> None:
        super().__init__()
        self.model = MODELS.get(self.kind, Model)(self.kind)
        self.state: State | None = None
        self.now = BEGINNING

    @rule(
        data=st.data(),
        role=st.sampled_from(["client", "staff", "service", "system", "admin"]),
        hours=st.sampled_from([0, 0, 1, 24 * 15, 24 * 30]),
    )
    def offer(self, data: Any, role: str, hours: int) -> None:
        self.now += hours * HOUR
        verbs = self.model.verbs()
        fitting = [verb for verb in verbs if (f"{self.kind}.{verb}", self.model.status) in CELLS]
        verb = data.draw(st.sampled_from(verbs + 3 * fitting))  # else hardly a history gets far
        given = data.draw(self.model.offers(verb))
        step = Step(f"{self.kind}.{verb}", role, None, recorded(self.now), given)
        if self.model.takes(step):
            self.state = advance(self.kind, self.state, step)
            self.model.take(step)
            return
        with pytest.raises(LifecycleRefused) as caught:
            advance(self.kind, self.state, step)
        state = ", ".join(f"{name} {value}" for name, value in self.model.shown().items()) or "not begun"
        assert sorted(caught.value.state.split(", ")) == sorted(state.split(", "))
        assert caught.value.event == step.type
        assert step.type in caught.value.detail
        assert caught.value.state in caught.value.detail

    @rule(data=st.data())
    def force_without_being_an_admin(self, data: Any) -> None:
        verb = data.draw(st.sampled_from(self.model.verbs()))
        step = Step(f"{self.kind}.{verb}", "staff", "import", recorded(self.now), data.draw(self.model.offers(verb)))
        with pytest.raises(LifecycleRefused) as caught:
            advance(self.kind, self.state, step)
        assert caught.value.path == "$.forced"

    @rule(data=st.data())
    def see_that_an_admin_may_force_anything(self, data: Any) -> None:
        verb = data.draw(st.sampled_from(self.model.verbs()))
        step = Step(f"{self.kind}.{verb}", "admin", "import", recorded(self.now), data.draw(self.model.offers(verb)))
        forced = advance(self.kind, self.state, step)
        assert describe(self.kind, forced)["status"] == forced.status
        if self.model.takes(step):
            assert forced == advance(self.kind, self.state, step._replace(forced=None))

    @invariant()
    def it_stands_where_the_model_says(self) -> None:
        assert describe(self.kind, self.state) == self.model.shown()


@pytest.mark.parametrize("kind", sorted(set(LIFECYCLES) - {"reservation"}))
def test_a_stream_of_any_kind_goes_as_its_model_says(kind):
    machine = type(kind.title(), (Stream,), {"kind": kind})
    several = len(lifecycle.TABLES[kind]) > 2
    run_state_machine_as_test(
        machine, settings=settings(max_examples=150 if several else 15, stateful_step_count=30 if several else 10)
    )
