"""Events of a policy: the studio's own terms, set by version and with the day from which they hold.

Owns the data of ``policy.*``. Each event sets one policy as a whole, and each policy has one stream, which its data
name: ``policy:storage``, ``policy:account``, ``policy:trash``, ``policy:retention``, and ``policy:collection.NAME`` for
each declared collection of records. In force on a day is the highest version that is effective on it. Never a free
text: figures are integers with their unit in the name, or decimals as strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ledger.catalog.base import EventData, Notes, event_type
from ledger.catalog.values import Amount, Code, Currency, Date, Positive, Reason
from ledger.errors import InvalidEvent
from ledger.patterns import shaped

Hours = Annotated[int, Meta(ge=0, le=100_000)]
Days = Annotated[int, Meta(ge=0, le=36_500)]
FieldName = Annotated[
    str,
    Meta(
        pattern=shaped(r"[A-Za-z_][A-Za-z0-9._-]{0,63}", "1 to 64 of A-Z, a-z, 0-9 and ._-, the first a letter or _"),
        description="the name of a field of the records",
    ),
]
RetentionClass = Literal["evidence", "identity", "ledger", "media", "operation", "record", "secret", "service"]


class StorageTerms(EventData, frozen=True, kw_only=True):
    """Terms of shelf storage; hours are counted from ``ready_for_pickup``."""

    billing_days: Annotated[Days, Meta(description="how many days are billed at most; then the work is reclaimed")]
    currency: Currency
    grace_hours: Annotated[Hours, Meta(description="how long storage is free")]
    half_shelf_day: Annotated[Amount, Meta(description="the price of a half shelf for one full day")]
    prepaid: Annotated[Amount, Meta(description="the flat price of prepaid storage")]
    prepaid_hours: Annotated[Hours, Meta(description="how far prepaid storage reaches")]
    prepaid_reminder_hours: (
        Annotated[list[Hours], Meta(max_length=16, description="reminders when prepaid, if others")] | UnsetType
    ) = UNSET
    reminder_hours: Annotated[list[Hours], Meta(max_length=16, description="when reminders are due, in their order")]


class AccountTerms(EventData, frozen=True, kw_only=True):
    """Terms of overdue accounts, in full days since the payment was due."""

    deletion_days: Annotated[Days, Meta(description="from when the account may be deleted")]
    freeze_days: Annotated[Days, Meta(description="how long grace lasts; then the account is frozen")]
    warning_days: Annotated[Days, Meta(description="when the final warning is sent and the export offered")]


class TrashTerms(EventData, frozen=True, kw_only=True):
    """How long what is in the trash can be restored. Fewer than 30 days are not for a policy to choose."""

    days: Annotated[int, Meta(ge=30, le=36_500)]


class PublicField(EventData, frozen=True, kw_only=True):
    """A field of a collection's records that stands in the log openly."""

    name: FieldName
    type: Literal["boolean", "code", "date", "decimal", "id", "instant", "integer"]


class Relation(EventData, frozen=True, kw_only=True):
    """A public field of a collection's records that holds the id of something else."""

    field: FieldName
    to: Annotated[Literal["record", "member", "reservation", "media"], Meta(description="the kind of stream it names")]
    to_collection: Annotated[Code, Meta(description="for a record: its collection")] | UnsetType = UNSET


class CollectionTerms(EventData, frozen=True, kw_only=True):
    """What is declared of a collection of records. Fields that are not named are private; it holds once it is set."""

    collection: Code
    public_fields: Annotated[list[PublicField], Meta(max_length=64)]
    relations: Annotated[list[Relation], Meta(max_length=32)]


class RetentionPeriod(EventData, frozen=True, kw_only=True):
    """How long the private values of one retention class are kept, counted from the last event of their stream."""

    days: Days
    retention_class: RetentionClass


class RetentionTerms(EventData, frozen=True, kw_only=True):
    """How long private values are kept. A class that is not named is kept until somebody erases it."""

    periods: Annotated[list[RetentionPeriod], Meta(min_length=1, max_length=16)]


_POLICIES = ("account", "collection", "retention", "storage", "trash")


def _stream(data: Set) -> str:
    """The id of the stream that a policy has."""
    if isinstance(data.collection, CollectionTerms):
        return f"collection.{data.collection.collection}"
    return next(name for name in _POLICIES if getattr(data, name) is not UNSET)


@event_type("policy.set", retention="operation", posted_by=["owner", "admin"], reads_data=True, goes_to=_stream)
class Set(EventData, frozen=True, kw_only=True):
    """A policy is set as a whole: one of ``account``, ``collection``, ``retention``, ``storage`` and ``trash``."""

    account: AccountTerms | UnsetType = UNSET
    collection: CollectionTerms | UnsetType = UNSET
    effective_from: Annotated[Date, Meta(description="the first day on which it holds")]
    notes: Notes | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    retention: RetentionTerms | UnsetType = UNSET
    storage: StorageTerms | UnsetType = UNSET
    trash: TrashTerms | UnsetType = UNSET
    version: Annotated[Positive, Meta(description="which version of this policy, from 1 without gaps")]

    def check(self) -> None:
        """Check that there is one policy, and that its figures are in their order and its names said once."""
        if sum(getattr(self, name) is not UNSET for name in _POLICIES) != 1:
            raise InvalidEvent(f"a policy sets exactly one of {', '.join(_POLICIES)}", "$.data")
        if isinstance(self.storage, StorageTerms):
            _check_storage(self.storage)
        if isinstance(self.account, AccountTerms):
            _check_account(self.account)
        if isinstance(self.collection, CollectionTerms):
            _check_collection(self.collection)
        if isinstance(self.retention, RetentionTerms):
            named = [period.retention_class for period in self.retention.periods]
            _check_once(named, "$.data.retention.periods")


def _check_storage(terms: StorageTerms) -> None:
    for name in ("reminder_hours", "prepaid_reminder_hours"):
        hours = getattr(terms, name)
        if hours is not UNSET and sorted(set(hours)) != hours:
            raise InvalidEvent("reminders follow one another in time", f"$.data.storage.{name}")


def _check_account(terms: AccountTerms) -> None:
    if not terms.freeze_days <= terms.warning_days <= terms.deletion_days:
        raise InvalidEvent("an account is frozen, then warned, then eligible for deletion", "$.data.account")


def _check_collection(terms: CollectionTerms) -> None:
    public = {field.name: field.type for field in terms.public_fields}
    _check_once([field.name for field in terms.public_fields], "$.data.collection.public_fields")
    _check_once([relation.field for relation in terms.relations], "$.data.collection.relations")
    for at, relation in enumerate(terms.relations):
        where = f"$.data.collection.relations[{at}]"
        if public.get(relation.field) != "id":
            raise InvalidEvent(
                f"a relation is a public field of the type id, {relation.field} is not", f"{where}.field"
            )
        if (relation.to == "record") != (relation.to_collection is not UNSET):
            raise InvalidEvent(
                "a relation to a record names its collection, others have none", f"{where}.to_collection"
            )


def _check_once(names: Sequence[str], path: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidEvent(f"{name} is named twice", path)
