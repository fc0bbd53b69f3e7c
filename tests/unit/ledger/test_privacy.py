import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from itertools import islice

import pytest
import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from ledger import privacy
from ledger.errors import OversizedEvent, StoreError

BOUND = privacy.associated("ledger.example/studio", "urn:test", "e-1", ["email", "name"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.sampled_from("abcdefgh_"), min_size=1, max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def unpadded(data):
    return urlsafe_b64encode(data).rstrip(b"=")


def padded(text):
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def fresh():
    return AESGCM(os.urandom(32))


class TestCommitments:
    def test_the_digest_of_rfc_9901_comes_out(self):
        # RFC 9901, section 4.2.3 (the disclosure is that of section 4.2.1)
        disclosure = b"WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
        assert privacy.commitment_of(disclosure) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
        assert privacy.open_disclosure(disclosure) == ("family_name", "Möbius")

    @given(NAMES, VALUES)
    def test_a_disclosure_opens_to_what_was_committed(self, name, value):
        committed = privacy.commit(name, value)
        assert committed.name == name
        assert privacy.open_disclosure(committed.disclosure) == (name, value)

    @given(NAMES, VALUES)
    def test_both_can_be_made_by_hand_from_the_salt(self, name, value):
        committed = privacy.commit(name, value)
        salt, again, opened = json.loads(padded(committed.disclosure))
        assert (again, opened) == (name, value)
        assert len(padded(salt.encode())) == 16
        assert b"=" not in committed.disclosure
        assert committed.commitment.encode() == unpadded(sha256(committed.disclosure).digest())
        assert len(committed.commitment) == 43

    def test_equal_values_commit_to_different_texts(self):
        assert len({privacy.commit("name", "Zoë").commitment for _ in range(100)}) == 100

    def test_what_is_drawn_together_is_of_its_size_and_none_comes_twice(self):
        salts = list(islice(privacy.drawn(16, 3), 100))
        assert {len(salt) for salt in salts} == {16}
        assert len(set(salts)) == 100

    def test_a_given_salt_is_the_one_committed_with(self):
        salt = bytes(range(16))
        assert padded(json.loads(padded(privacy.commit("name", "Zoë", salt).disclosure))[0].encode()) == salt

    @given(NAMES, VALUES | st.text(st.characters(codec="utf-8", max_codepoint=0x100)))
    def test_the_disclosure_is_canonical_inside(self, name, value):
        inner = padded(privacy.commit(name, value).disclosure)
        assert inner == rfc8785.dumps(json.loads(inner))

    def test_a_disclosure_of_65_535_bytes_is_the_longest(self):
        longest = "x" * (49_151 - len('["","n",""]') - 22)
        assert len(privacy.commit("n", longest).disclosure) == privacy.MAX_DISCLOSURE == 65_535
        with pytest.raises(OversizedEvent, match="65,536 bytes") as caught:
            privacy.commit("n", longest + "x")
        assert caught.value.path == "$.data.n"
        assert "x" * 30 not in str(caught.value)

    @pytest.mark.parametrize(
        "inner",
        [
            b"",
            b"nothing",
            b'"abc"',
            b"[]",
            b'["salt","name"]',
            b'["salt","name",1,2]',
            b'[1,"name",2]',
            b'["salt",1,2]',
            b'{"a":1,"b":2,"c":3}',
            b'["salt","name",\xff]',
        ],
    )
    def test_what_is_no_disclosure_is_refused(self, inner):
        with pytest.raises(StoreError, match="damaged"):
            privacy.open_disclosure(unpadded(inner))

    @pytest.mark.parametrize("raw", [b"A", b"AAAAA", b"\xff\xfe"])
    def test_what_is_no_base64_is_refused(self, raw):
        with pytest.raises(StoreError, match="damaged"):
            privacy.open_disclosure(raw)


class TestDisclosed:
    def test_values_are_given_under_their_names(self):
        made = [privacy.commit("email", "z@example.org"), privacy.commit("name", "Zoë")]
        commitments = {each.name: each.commitment for each in made}
        disclosures = [each.disclosure for each in made]
        assert privacy.disclosed(commitments, disclosures) == {"email": "z@example.org", "name": "Zoë"}
        assert privacy.disclosed(commitments, disclosures[1:]) == {"name": "Zoë"}
        assert privacy.disclosed(commitments, []) == {}

    def test_a_disclosure_that_no_commitment_covers_is_a_fault(self):
        mine, other = privacy.commit("name", "Zoë"), privacy.commit("name", "Zoë")
        for commitments in ({"name": mine.commitment}, {"email": other.commitment}, {}):
            with pytest.raises(StoreError, match="does not match"):
                privacy.disclosed(commitments, [other.disclosure])

    def test_another_spelling_of_a_disclosure_is_a_fault(self):
        made = privacy.commit("name", "Zoë")
        with pytest.raises(StoreError):
            privacy.disclosed({"name": made.commitment}, [made.disclosure + b"="])


class TestSealing:
    @given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=5), st.binary(max_size=40))
    def test_what_is_sealed_comes_out_as_it_was(self, fields, bound_to):
        key = fresh()
        disclosures = [privacy.commit(name, value).disclosure for name, value in fields]
        assert privacy.unseal(key, privacy.seal(key, disclosures, bound_to), bound_to) == disclosures

    def test_the_same_disclosures_seal_to_different_bytes(self):
        key, disclosure = fresh(), privacy.commit("name", "Zoë").disclosure
        sealed = {privacy.seal(key, [disclosure], BOUND) for _ in range(50)}
        assert len({each[:12] for each in sealed}) == len({each[12:] for each in sealed}) == 50

    def test_every_flipped_bit_and_every_cut_is_refused(self):
        key = fresh()
        sealed = privacy.seal(key, [privacy.commit("name", "Zoë").disclosure], BOUND)
        for at in range(len(sealed)):
            damaged = bytearray(sealed)
            damaged[at] ^= 1 << at % 8
            with pytest.raises(StoreError):
                privacy.unseal(key, bytes(damaged), BOUND)
            with pytest.raises(StoreError):
                privacy.unseal(key, sealed[:at], BOUND)
        with pytest.raises(StoreError):
            privacy.unseal(key, sealed + b"\0", BOUND)

    def test_another_key_is_refused(self):
        with pytest.raises(StoreError, match="do not open"):
            privacy.unseal(fresh(), privacy.seal(fresh(), [b"x"], BOUND), BOUND)

    @pytest.mark.parametrize(
        "other",
        [
            ("ledger.example/other", "urn:test", "e-1", ["email", "name"]),
            ("ledger.example/studio", "urn:other", "e-1", ["email", "name"]),
            ("ledger.example/studio", "urn:test", "e-2", ["email", "name"]),
            ("ledger.example/studio", "urn:test", "e-1", ["email"]),
            ("ledger.example/studio", "urn:test", "e-1", ["name", "email"]),
            ("ledger.example/studio", "urn:teste-1", "", ["email", "name"]),
            ("ledger.example/studio", 'urn:test","e-1', "", ["email", "name"]),
        ],
    )
    def test_another_ledger_event_or_set_of_names_is_refused(self, other):
        key = fresh()
        sealed = privacy.seal(key, [b"x"], BOUND)
        with pytest.raises(StoreError, match="do not open"):
            privacy.unseal(key, sealed, privacy.associated(*other))


class TestWrapping:
    def test_a_data_key_comes_out_as_it_was(self):
        epoch, data_key = fresh(), os.urandom(32)
        binding = privacy.key_binding("ledger.example/studio", "M-1", "reservation:R-1", 1)
        wrapped = privacy.wrap(epoch, data_key, binding)
        assert privacy.unwrap(epoch, wrapped, binding) == data_key
        assert data_key not in wrapped
        assert len(wrapped) == 12 + privacy.KEY_SIZE + 16

    def test_every_flipped_bit_and_every_cut_is_refused(self):
        epoch, binding = fresh(), privacy.key_binding("o", "m", "s", 1)
        wrapped = privacy.wrap(epoch, os.urandom(32), binding)
        for at in range(len(wrapped)):
            damaged = bytearray(wrapped)
            damaged[at] ^= 1 << at % 8
            for bad in (bytes(damaged), wrapped[:at]):
                with pytest.raises(StoreError, match="does not open"):
                    privacy.unwrap(epoch, bad, binding)

    @pytest.mark.parametrize(
        "other", [("p", "m", "s", 1), ("o", "n", "s", 1), ("o", "m", "t", 1), ("o", "m", "s", 2), ("o", "ms", "", 1)]
    )
    def test_another_ledger_member_stream_or_epoch_is_refused(self, other):
        epoch = fresh()
        wrapped = privacy.wrap(epoch, os.urandom(32), privacy.key_binding("o", "m", "s", 1))
        with pytest.raises(StoreError):
            privacy.unwrap(epoch, wrapped, privacy.key_binding(*other))

    def test_another_epoch_key_is_refused(self):
        binding = privacy.key_binding("o", "m", "s", 1)
        with pytest.raises(StoreError):
            privacy.unwrap(fresh(), privacy.wrap(fresh(), os.urandom(32), binding), binding)
