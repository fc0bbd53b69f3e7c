"""Every store is a recorder of the ``eventsourcing`` library, and passes the library's own test cases."""

import threading
import uuid

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.tests import persistence  # the module, since a class named here would be collected as it stands

from ledger.errors import StoreError


def names_of(case):
    return [name for name in dir(case) if name.startswith(("test_", "optional_test_"))]


def run(kind, case, name, adapt=lambda store: store):
    """Run one test of a library's case against a store that takes raw rows."""
    stores, threads = [], set(threading.enumerate())

    class Case(case):
        def new_originator_id(self):
            return str(uuid.uuid4())

        def create_recorder(self):
            stores.append(kind.create_raw())
            return adapt(stores[-1])

    try:
        Case(name).debug()  # unlike run(), it raises
    finally:
        for thread in set(threading.enumerate()) - threads:
            if not thread.name.startswith(("pool-", "ledger-")):  # the stores' own live until they are closed
                thread.join(10)  # the library leaves readers behind that are about to end
        for store in stores:
            store.close()


@pytest.mark.parametrize("name", names_of(persistence.ApplicationRecorderTestCase))
def test_the_application_recorder_case_of_the_library_holds(kind, name):
    run(kind, persistence.ApplicationRecorderTestCase, name)


class AggregateRecorder:
    """An application recorder seen as an aggregate recorder, which gives no notification ids."""

    def __init__(self, store):
        self.store = store
        self.select_events = store.select_events

    def insert_events(self, stored_events, **kwargs):
        self.store.insert_events(stored_events, **kwargs)


@pytest.mark.parametrize("name", names_of(persistence.AggregateRecorderTestCase))
def test_the_aggregate_recorder_case_of_the_library_holds(kind, name):
    run(kind, persistence.AggregateRecorderTestCase, name, AggregateRecorder)


def test_the_cases_of_the_library_include_its_optional_subscription_test():
    assert "optional_test_insert_subscribe" in names_of(persistence.ApplicationRecorderTestCase)


def test_the_shipped_store_refuses_rows_without_a_seal_and_writes_nothing(kind, store):
    event = StoredEvent(str(uuid.uuid4()), 1, "reservation.requested", b"{}")
    with pytest.raises(StoreError, match=r"ledger\.log"):
        store.recorder.insert_events([event])
    with pytest.raises(StoreError):
        store.recorder.insert_events([])
    assert store.recorder.max_notification_id() is None
    assert store.recorder.select_events(event.originator_id) == []
    assert kind.execute("SELECT count(*) FROM entries") == [(0,)]


def test_a_refused_row_leaves_no_transaction_behind(store):
    with pytest.raises(StoreError):
        store.recorder.insert_events([StoredEvent("x", 1, "t", b"")])
    with store.writing() as writes:
        assert writes.head().size == 0


def test_the_adapter_translates_a_double_row_as_the_library_asks(kind):
    store = kind.create_raw()
    try:
        store.insert_events([StoredEvent("a", 1, "t", b"one")])
        with pytest.raises(IntegrityError):
            store.insert_events([StoredEvent("a", 1, "t", b"two")])
        assert [event.state for event in store.select_events("a")] == [b"one"]
    finally:
        store.close()
