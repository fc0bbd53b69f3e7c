"""Entries made by hand, and random histories of one reservation, for tests of pure folds."""

import msgspec
import orjson
from hypothesis import strategies as st
from msgspec import UNSET

from ledger import catalog, privacy
from ledger.entry import Actor, Entry, EventBody, Seal
from ledger.moment import recorded

SECOND = 1_000_000


def entry_of(
    kind, data, *, stream="reservation:R-1", version=1, position=None, role="staff", forced=None, member="M-1"
):
    """One entry of type ``kind`` from all of its data, private fields included; these become commitments."""
    event_type = catalog.get(kind)
    public, private = event_type.split(event_type.decode(orjson.dumps(data)))
    position = version if position is None else position
    body = EventBody(
        actor=Actor("desk", role),
        data=msgspec.Raw(public),
        forced=forced or UNSET,
        id=f"e-{position}",
        member=member or UNSET,
        private={name: privacy.commit(name, value).commitment for name, value in sorted(private.items())} or UNSET,
        source="urn:test",
        stream=stream,
        time=f"2026-03-01T00:00:{position % 60:02d}Z",
        type=kind,
        v=event_type.version,
    )
    return Entry(
        body, Seal(by="local", position=position, prev="0" * 64, recorded=recorded(position * SECOND), version=version)
    )


def history_of(*events, stream="reservation:R-1", first=1):
    """The entries of one stream from (type, data) pairs; a third member gives further arguments of ``entry_of``."""
    return [
        entry_of(kind, data, stream=stream, version=at, position=first + at - 1, **(more[0] if more else {}))
        for at, (kind, data, *more) in enumerate(events, 1)
    ]


REQUESTED = {"firing_type": "bisque", "half_shelves": 2, "window": {"earliest": "2026-03-01", "latest": "2026-03-04"}}

FULL = {
    "reservation.requested": {
        **REQUESTED,
        "add_ons": ["glaze-wash", "rush"],
        "channel": "direct",
        "notes": "two tall vases",
        "photo": "P-1",
        "preferred_station": "K1",
        "queue_class": "regular",
        "queue_position": 0,
        "rate": "12.50",
        "resources": {"kiln_profile": "slow", "rack_count": 1, "special_handling": ["fragile"]},
    },
    "reservation.confirmed": {"notes": "n", "reason": "room", "station": "K2"},
    "reservation.waitlisted": {
        "notes": "n",
        "queue_class": "rush",
        "queue_position": 3,
        "reason": "no-room",
        "station": "K3",
    },
    "reservation.cancelled": {"notes": "n", "reason": "by-client"},
    "reservation.stage_changed": {"from": "intake", "notes": "n", "reason": "moved", "station": "K4", "to": "drying"},
    "reservation.load_changed": {
        "from": "queued",
        "notes": "n",
        "reason": "kiln-free",
        "station": "K5",
        "to": "loading",
    },
    "reservation.estimate_changed": {
        "confidence": "low",
        "end": "2026-03-09T00:00:00Z",
        "notes": "n",
        "reason": "kiln-down",
        "sla": "delayed",
        "start": "2026-03-08T00:00:00Z",
    },
    "reservation.station_assigned": {
        "notes": "n",
        "queue_class": "rush",
        "queue_position": 2,
        "reason": "moved",
        "station": "K6",
    },
    "reservation.arrival_token_issued": {
        "expires": "2026-03-03T00:00:00Z",
        "issued": "2026-03-02T00:00:00Z",
        "token": "secret",
        "version": 1,
    },
    "reservation.arrived": {
        "expected_at": "2026-03-03T09:00:00Z",
        "notes": "n",
        "photo": "media-2",
        "reason": "late",
        "state": "overdue",
        "station": "K7",
        "token_used": 2,
        "via": "kiosk",
    },
    "reservation.pickup_window_changed": {
        "end": "2026-03-12T00:00:00Z",
        "misses": 0,
        "notes": "n",
        "reason": "asked",
        "reschedules": 1,
        "start": "2026-03-11T00:00:00Z",
        "state": "open",
    },
    "reservation.fairness_recorded": {
        "boost": 2,
        "decided_by": "S-1",
        "evidence": "E-1",
        "expires": "2026-04-01T00:00:00Z",
        "kind": "override",
        "notes": "n",
        "points": 1,
        "reason": "goodwill",
    },
}
"""For each reservation type, data in which every field stands."""

_NEEDED = {
    "reservation.requested": {"firing_type", "half_shelves", "window"},
    "reservation.stage_changed": {"to"},
    "reservation.load_changed": {"to"},
    "reservation.estimate_changed": {"sla"},
    "reservation.station_assigned": {"station"},
    "reservation.arrival_token_issued": {"token", "version"},
    "reservation.pickup_window_changed": {"state"},
    "reservation.fairness_recorded": {"kind", "reason", "boost", "expires"},
}


@st.composite
def events(draw):
    """One reservation event: some of the fields of ``FULL``, forced, so that any may follow any."""
    kind = draw(st.sampled_from(sorted(FULL)))
    optional = sorted(FULL[kind].keys() - _NEEDED.get(kind, set()))
    kept = draw(st.sets(st.sampled_from(optional))) if optional else set()
    data = {name: value for name, value in FULL[kind].items() if name in kept or name not in optional}
    if kind == "reservation.stage_changed":
        data["to"] = draw(st.sampled_from(["queued", "stored", "picked_up"]))
    if "station" in data:
        data["station"] = draw(st.sampled_from(["K1", "k-2", "room.3"]))
    if "half_shelves" in data:
        data["half_shelves"] = draw(st.integers(1, 1_000_000))
    return kind, data, {"role": "admin", "forced": "test", "member": draw(st.sampled_from(["M-1", "M-2", None]))}


histories = st.lists(events(), min_size=1, max_size=12).map(lambda chosen: history_of(*chosen))
