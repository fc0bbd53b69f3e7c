import hmac
import os
import threading

import pytest

from ledger import credentials as ledger_credentials
from ledger.credentials import Credentials
from ledger.errors import Conflict, KeyFileError, NotFound

FILE = "credentials.json"


@pytest.fixture
def credentials(tmp_path):
    return Credentials(tmp_path)


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_where_there_is_no_key_folder_no_token_is_known(tmp_path, place):
    (tmp_path / "file").touch()
    token = f"ck_desk_{'a' * 43}"
    assert Credentials(tmp_path / place / "keys").authenticate(token) is None


class TestIssue:
    @pytest.mark.parametrize(
        ("role", "actor_role", "actor_roles"),
        [
            ("owner", "admin", {"client", "staff", "service", "admin"}),
            ("admin", "admin", {"client", "staff", "service", "admin"}),
            ("service", "service", {"client", "staff", "service"}),
            ("auditor", "service", {"client", "staff", "service"}),
            ("member", "service", {"client", "staff", "service"}),
        ],
    )
    def test_gives_a_token_that_stands_for_its_role(self, credentials, role, actor_role, actor_roles):
        found = credentials.authenticate(credentials.issue("desk-1", role))
        assert (found.id, found.actor, found.role, found.actor_role) == ("desk-1", "desk-1", role, actor_role)
        assert found.actor_roles == actor_roles

    def test_gives_each_its_own_secret_of_256_bits(self, credentials):
        secrets = {credentials.issue(f"c-{n}", "service").split("_", 2)[2] for n in range(20)}
        assert len(secrets) == 20
        assert {len(secret) for secret in secrets} == {43}

    def test_stores_no_secret_and_no_other_may_read_the_file(self, credentials, tmp_path):
        token = credentials.issue("desk", "owner")
        stored = (tmp_path / FILE).read_bytes()
        assert token.split("_", 2)[2].encode() not in stored
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600

    def test_refuses_an_id_that_is_taken_and_keeps_the_first(self, credentials):
        token = credentials.issue("desk", "service")
        with pytest.raises(Conflict, match="desk"):
            credentials.issue("desk", "owner")
        assert credentials.authenticate(token).role == "service"

    @pytest.mark.parametrize("name", ["", "A", "a b", "a_b", "a.b", "é", "a\n", "a" * 65, 'a"', "a:b"])
    def test_refuses_an_id_of_another_form(self, credentials, name):
        with pytest.raises(ValueError, match="expected 1 to 64"):
            credentials.issue(name, "service")

    def test_by_several_at_once_loses_none(self, tmp_path):
        tokens, start = [], threading.Barrier(4)

        def issue(number):
            start.wait()
            tokens.extend([Credentials(tmp_path).issue(f"c-{number}-{n}", "service") for n in range(5)])

        threads = [threading.Thread(target=issue, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(tokens) == 20
        assert all(Credentials(tmp_path).authenticate(token) for token in tokens)


class TestExpiry:
    def test_is_an_instant_from_which_the_token_opens_nothing(self, tmp_path):
        now = [1_767_225_600.0]  # 2026-01-01T00:00:00Z
        credentials = Credentials(tmp_path, lambda: now[0])
        token = credentials.issue("desk", "auditor", expires="2026-01-01T02:00:00.5+01:00")
        assert credentials.records()[0].expires == "2026-01-01T01:00:00.5Z"
        now[0] += 3_600.4
        assert credentials.authenticate(token).role == "auditor"
        now[0] += 0.1
        assert credentials.authenticate(token) is None
        now[0] -= 1
        assert credentials.authenticate(token), "the clock decides, and nothing was changed"

    @pytest.mark.parametrize("expires", ["2020-01-01T00:00:00Z", "tomorrow", "2030-01-01", ""])
    def test_that_is_past_or_no_time_is_refused(self, credentials, expires):
        with pytest.raises(ValueError, match=r"past|RFC 3339"):
            credentials.issue("desk", "auditor", expires=expires)
        assert credentials.records() == []


class TestMember:
    def test_goes_with_its_role_alone(self, credentials):
        credentials.issue("m", "member", member="M-1")
        assert credentials.records()[0].member == "M-1"
        with pytest.raises(ValueError, match="bound to no member"):
            credentials.issue("desk", "service", member="M-1")


class TestRevoke:
    def test_leaves_a_record_that_opens_nothing_and_takes_its_id(self, credentials, tmp_path):
        token, other = credentials.issue("desk", "service"), credentials.issue("till", "service")
        digest = credentials.records()[0].sha256
        assert Credentials(tmp_path).revoke("desk").revoked
        assert credentials.authenticate(token) is None
        assert credentials.authenticate(f"ck_desk_{'A' * 43}") is None
        assert credentials.authenticate(other).id == "till"
        assert digest.encode() not in (tmp_path / FILE).read_bytes()
        with pytest.raises(Conflict, match="desk exists already"):
            credentials.issue("desk", "service")
        assert credentials.revoke("desk") == credentials.records()[0], "again, it changes nothing"

    def test_of_one_that_never_was_is_told(self, credentials):
        with pytest.raises(NotFound, match="nobody"):
            credentials.revoke("nobody")

    def test_what_is_issued_is_stored_only_if_what_it_is_for_succeeds(self, credentials):
        with pytest.raises(RuntimeError), credentials.issuing("desk", "service"):
            raise RuntimeError
        assert credentials.records() == []
        assert credentials.issue("desk", "service")


class TestAuthenticate:
    def test_knows_no_token_but_those_it_issued(self, credentials):
        token = credentials.issue("desk", "service")
        other = credentials.issue("till", "service")
        secret = token.split("_", 2)[2]
        wrong = [
            "",
            "ck",
            "ck_",
            "ck_desk_",
            "ck_desk",
            secret,
            f"desk_{secret}",
            f"ck_nobody_{secret}",
            f"ck_till_{secret}",
            f"CK_desk_{secret}",
            f"ck_DESK_{secret}",
            f"{token}x",
            token[:-1],
            f"{token}\n",
            f" {token}",
            f"{token}\0",
            f"ck_desk_{other.split('_', 2)[2]}",
            f"ck_desk_{'A' * 43}",
            f"ck_desk_{secret.swapcase()}",
            "é" * 50,
            "x" * 10**6,
        ]
        assert [given for given in wrong if credentials.authenticate(given) is not None] == []
        assert credentials.authenticate(token).id == "desk"

    def test_before_any_was_issued_knows_none(self, credentials):
        assert credentials.authenticate(f"ck_desk_{'A' * 43}") is None

    @pytest.mark.parametrize("token", ["ck_nobody_" + "A" * 43, "ck_desk_" + "A" * 43, "nonsense", ""])
    def test_compares_in_constant_time_also_for_what_it_does_not_know(self, credentials, monkeypatch, token):
        credentials.issue("desk", "service")
        compared = []
        real = hmac.compare_digest
        monkeypatch.setattr(
            ledger_credentials.hmac, "compare_digest", lambda one, two: compared.append((one, two)) or real(one, two)
        )
        assert credentials.authenticate(token) is None
        assert len(compared) == 1

    def test_sees_what_another_process_issued(self, credentials, tmp_path):
        first = credentials.issue("desk", "service")
        assert credentials.authenticate(first)
        second = Credentials(tmp_path).issue("till", "auditor")
        assert credentials.authenticate(second).role == "auditor"
        assert credentials.authenticate(first)

    def test_sees_what_was_taken_away(self, credentials, tmp_path):
        token = credentials.issue("desk", "service")
        assert credentials.authenticate(token)
        ledger_credentials.write_private(tmp_path / FILE, b"[]")
        assert credentials.authenticate(token) is None
        (tmp_path / FILE).unlink()
        assert credentials.authenticate(token) is None

    def test_reads_the_file_once_while_it_stays_as_it_is(self, credentials, monkeypatch):
        token = credentials.issue("desk", "service")
        credentials.authenticate(token)
        monkeypatch.setattr(ledger_credentials, "read_private", lambda path: pytest.fail("read again"))
        assert credentials.authenticate(token)


class TestFile:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"{}",
            b"[1]",
            b'[{"id":"desk"}]',
            b"\xff",
            b'[{"id":"desk","sha256":"0","role":"king","actor":"a","actor_role":"b","actor_roles":[]}]',
        ],
    )
    def test_that_is_damaged_is_refused_and_opens_for_nobody(self, credentials, tmp_path, content):
        token = credentials.issue("desk", "service")
        (tmp_path / FILE).write_bytes(content)
        os.utime(tmp_path / FILE, ns=(1, 1))
        for ask in (lambda: credentials.authenticate(token), lambda: credentials.issue("till", "service")):
            with pytest.raises(KeyFileError, match="damaged"):
                ask()
        assert (tmp_path / FILE).read_bytes() == content

    def test_that_others_may_read_is_refused(self, tmp_path):
        token = Credentials(tmp_path).issue("desk", "service")
        (tmp_path / FILE).chmod(0o644)
        with pytest.raises(KeyFileError, match="accessible"):
            Credentials(tmp_path).authenticate(token)

    def test_secrets_show_in_no_repr_and_no_error(self, credentials):
        token = credentials.issue("desk", "service")
        secret = token.split("_", 2)[2]
        found = credentials.authenticate(token)
        assert secret not in f"{credentials!r}{vars(credentials)!r}{found!r}"
        with pytest.raises(Conflict) as caught:
            credentials.issue("desk", "service")
        assert secret not in str(caught.value)
