import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger import datakeys as ledger_datakeys
from ledger import entry, privacy
from ledger.datakeys import DataKeys, pair_of
from ledger.errors import KeyFileError, StoreError
from ledger.event import LOCAL, prepare
from ledger.keys import Keys
from ledger.private_files import write_private
from ledger.store.protocol import Head, Row
from tests.support.events import ORIGIN, plain, requested

PAIR = ("M-1", "reservation:R-1")
RECORDED = "2026-03-01T09:30:00.000000Z"


class Reads:
    """The two tables that data keys need, in memory."""

    def __init__(self):
        self.wrapped, self.sealed, self.asked = {}, {}, []
        self.epoch = 1

    def head(self):
        return Head(1, bytes(32), "", self.epoch)

    def data_keys(self, pairs):
        pairs = list(pairs)
        self.asked += pairs
        return {pair: self.wrapped[pair] for pair in pairs if pair in self.wrapped}

    def disclosures(self, positions):
        return {position: self.sealed[position] for position in positions if position in self.sealed}


@pytest.fixture
def keys(tmp_path):
    return Keys.create(tmp_path / "keys", ORIGIN)


@pytest.fixture
def reads():
    return Reads()


@pytest.fixture
def data_keys(keys):
    return DataKeys(keys, ORIGIN)


def created(data_keys, pair):
    """A fresh key for a pair, opened and wrapped."""
    keys, (wrapped,) = data_keys.create({pair: 0}, 1)
    return keys[pair], wrapped


def stored(reads, data_keys, event, position=0):
    """An event's row, its disclosures sealed as a flush does it."""
    prepared = prepare(event, LOCAL)
    raw = entry.build(prepared.body, "local", None, position, entry.NO_PREVIOUS, RECORDED, 1)
    row = Row(position, raw)
    pair = pair_of(entry.decode(raw).event)
    key = data_keys.load(reads, [pair]).get(pair)
    if key is None:
        key, reads.wrapped[pair] = created(data_keys, pair)
    if prepared.disclosures:
        bound_to = privacy.associated(ORIGIN, prepared.source, prepared.id, prepared.names)
        reads.sealed[position] = privacy.seal(AESGCM(key), prepared.disclosures, bound_to)
    return row


def test_a_stored_key_opens_for_another_who_has_the_folder(data_keys, reads, keys):
    key, reads.wrapped[PAIR] = created(data_keys, PAIR)
    assert DataKeys(keys, ORIGIN).load(reads, [PAIR])[PAIR] == key


def test_keys_made_together_are_all_different_and_each_opens_for_its_own_pair(data_keys, reads, keys):
    pairs = {(f"M-{n}", "s:1"): 3 * n for n in range(40)}
    made, wrapped = data_keys.create(pairs, 1)
    assert [(key.member, key.stream, key.position) for key in wrapped] == [(*pair, at) for pair, at in pairs.items()]
    assert len({key.wrapped[:12] for key in wrapped}) == 40
    reads.wrapped.update(zip(pairs, wrapped, strict=True))
    opened = DataKeys(keys, ORIGIN).load(reads, pairs)
    assert opened == made
    assert len(set(made.values())) == 40


def test_no_key_is_made_for_nobody(data_keys):
    assert data_keys.create({}, 7) == ({}, [])  # and no epoch's key is looked for


def test_a_pair_without_a_key_is_left_out(data_keys, reads):
    assert data_keys.load(reads, [PAIR]) == {}


def test_the_store_is_asked_once_until_all_is_forgotten(data_keys, reads):
    _, reads.wrapped[PAIR] = created(data_keys, PAIR)
    data_keys.load(reads, [PAIR])
    assert reads.asked == []
    data_keys.forget()
    assert list(data_keys.load(reads, [PAIR])) == [PAIR]
    data_keys.load(reads, [PAIR])
    assert reads.asked == [PAIR]


def test_a_forgotten_key_that_was_never_stored_is_gone(data_keys, reads):
    created(data_keys, PAIR)
    data_keys.forget()
    assert data_keys.load(reads, [PAIR]) == {}


def test_a_full_cache_drops_the_oldest_and_answers_all_the_same(data_keys, reads, monkeypatch):
    monkeypatch.setattr(ledger_datakeys, "CACHED_KEYS", 20)
    pairs = [(f"M-{n}", "s:1") for n in range(50)]
    for pair in pairs:
        _, reads.wrapped[pair] = created(data_keys, pair)
    assert len(data_keys._opened) <= 20
    assert pairs[-1] in data_keys._opened
    assert set(data_keys.load(reads, pairs)) == set(pairs)
    assert len(data_keys._opened) <= 20


@pytest.mark.parametrize("field", ["member", "stream", "epoch", "wrapped"])
def test_a_wrapped_key_moved_to_another_place_does_not_open(data_keys, reads, keys, field):
    write_private(keys.folder / "epoch-000002.key", (keys.folder / "epoch-000001.key").read_bytes())
    _, wrapped = created(data_keys, PAIR)
    other = {"member": "M-2", "stream": "reservation:R-2", "epoch": 2, "wrapped": wrapped.wrapped[:-1] + b"\0"}[field]
    reads.wrapped[PAIR] = wrapped._replace(**{field: other})
    with pytest.raises(StoreError, match="does not open"):
        DataKeys(keys, ORIGIN).load(reads, [PAIR])


def test_a_key_of_a_destroyed_epoch_is_left_out_but_one_that_is_damaged_is_a_fault(data_keys, reads, keys):
    _, reads.wrapped[PAIR] = created(data_keys, PAIR)
    path = keys.folder / "epoch-000001.key"
    content = path.read_bytes()
    path.chmod(0o644)
    with pytest.raises(KeyFileError):
        DataKeys(Keys(keys.folder, ORIGIN), ORIGIN).load(reads, [PAIR])
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    with pytest.raises(KeyFileError):
        DataKeys(Keys(keys.folder, ORIGIN), ORIGIN).load(reads, [PAIR])
    path.unlink()
    with pytest.raises(KeyFileError):  # the epoch in use: lost, not destroyed
        DataKeys(Keys(keys.folder, ORIGIN), ORIGIN).load(reads, [PAIR])
    reads.epoch = 2
    assert DataKeys(Keys(keys.folder, ORIGIN), ORIGIN).load(reads, [PAIR]) == {}
    write_private(path, content)
    assert list(DataKeys(Keys(keys.folder, ORIGIN), ORIGIN).load(reads, [PAIR])) == [PAIR]


def test_values_are_disclosed_row_by_row_as_far_as_they_open(data_keys, reads):
    rows = [
        stored(reads, data_keys, requested("R-1", "M-1", data={"notes": "one"}), 0),
        stored(reads, data_keys, plain("confirmed", "R-1", "M-1"), 1),
        stored(reads, data_keys, requested("R-2", None, data={"notes": "two"}), 2),
        stored(reads, data_keys, requested("R-3", "M-3", data={"notes": "three"}), 3),
    ]
    assert data_keys.disclose(reads, rows) == [{"notes": "one"}, {}, {"notes": "two"}, {"notes": "three"}]
    assert data_keys.disclose(reads, rows[::-1])[0] == {"notes": "three"}
    assert data_keys.disclose(reads, []) == []
    del reads.sealed[0], reads.wrapped["M-3", "reservation:R-3"]
    data_keys.forget()
    assert data_keys.disclose(reads, rows) == [{}, {}, {"notes": "two"}, {}]


def test_disclosures_of_another_event_are_a_fault(data_keys, reads):
    rows = [stored(reads, data_keys, requested("R-1", data={"notes": f"{n}"}), n) for n in range(2)]
    reads.sealed[0], reads.sealed[1] = reads.sealed[1], reads.sealed[0]
    with pytest.raises(StoreError, match="do not open"):
        data_keys.disclose(reads, rows)


def test_disclosures_that_do_not_match_the_entry_are_a_fault(data_keys, reads):
    row = stored(reads, data_keys, requested("R-1", id="e", data={"notes": "said"}))
    stored(reads, data_keys, requested("R-1", id="e", data={"notes": "never said"}))  # same event, other salt and value
    with pytest.raises(StoreError, match="does not match its commitment"):
        data_keys.disclose(reads, [row])
