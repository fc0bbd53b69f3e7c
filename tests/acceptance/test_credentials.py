"""An owner gives others access to a ledger and takes it away again, through the command line."""

import json
import urllib.error
import urllib.request

import pytest

from tests.acceptance.conftest import ORIGIN
from tests.support.events import requested
from tests.support.serving import request_to, serving


def asked(address, token, path="head", body=None):
    """The status and content of an answer."""
    request = request_to(address, token, path, body)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_running_service_takes_a_new_key_by_its_role_and_refuses_it_once_it_is_revoked(run, data):
    owner = run("init", "studio", "--origin", ORIGIN, "--json").json["api_key"]

    def issued(name, role):
        return run("credentials", "issue", name, "--role", role, "--json").json["api_key"]

    with serving("serve", "--data", data) as address:
        kiosk, auditor = issued("kiosk", "service"), issued("auditor", "auditor")
        event = b"[" + requested("R-1") + b"]"
        assert asked(address, kiosk, "events", event)[0] in (200, 201)
        assert asked(address, auditor, "events", event)[0] == 403
        status, entries = asked(address, auditor, "checkpoint")
        assert (status, entries.startswith(ORIGIN.encode())) == (200, True)
        assert run("credentials", "revoke", "kiosk", "--reason", "left").code == 0
        assert asked(address, kiosk, "events", event)[0] == 401
        assert asked(address, auditor, "checkpoint")[0] == 200
        assert run("credentials", "revoke", "owner", "--reason", "stolen").code == 0
        assert asked(address, owner, "checkpoint")[0] == 401
    assert run("audit").code == 0
    told = [one["type"] for one in run("log", "--stream", "credential:owner", "--json").json["events"]]
    assert told == ["credential.issued", "credential.revoked"], "that which init made is told of too"


def test_the_log_says_who_has_access_and_never_a_key(week, data):
    until = "2099-01-31T23:59:59.999999Z"
    done = week("credentials", "issue", "audit-1", "--role", "auditor", "--expires", "2099-01-31", "--json").json
    assert (done["id"], done["role"], done["expires"], done["member"]) == ("audit-1", "auditor", until, None)
    member = week("credentials", "issue", "m-1002", "--role", "member", "--member", "M-1002")
    assert member.code == 0
    issued = week("log", "--stream", "credential:m-1002", "--json").json["events"][0]
    assert issued["data"]["sees_member"] == "M-1002"
    assert (issued["actor"], issued["actorrole"], issued["data"]["issued_by"]) == ("local", "system", "local")
    secrets = [done["api_key"], member.out.decode().strip()]
    hidden = [token.split("_", 2)[2].encode() for token in secrets]
    listed = week("credentials", "list", "--json")
    log, file = week("log", "--raw").out, (data / "studio" / "keys" / "credentials.json").read_bytes()
    for digest in (one["sha256"].encode() for one in json.loads(file)):
        assert digest not in log + listed.out
    for secret in hidden:
        assert secret not in log + listed.out + file
    states = {one["id"]: (one["role"], one["state"]) for one in listed.json["credentials"]}
    assert states["owner"] == ("owner", "active")
    assert week("credentials", "revoke", "audit-1", "--reason", "left", "--json").json["state"] == "revoked"
    assert week("credentials", "revoke", "audit-1", "--reason", "left").code == 0, "again, it changes nothing"
    assert len(week("log", "--stream", "credential:audit-1", "--json").json["events"]) == 2
    assert b"audit-1: auditor, revoked, until" in week("credentials", "list").out
    assert b"m-1002: member, active, sees M-1002" in week("credentials", "list").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("issue Desk --role service", 2),
        ("issue desk --role king", 2),
        ("issue desk", 2),
        ("issue desk --role service --expires yesterday", 2),
        ("issue desk --role service --expires 2020-01-01", 2),
        ("issue desk --role member", 2),
        ("issue desk --role service --member M-1002", 2),
        ("issue desk --role member --member M-nobody", 10),
        ("issue owner --role service", 11),
        ("revoke nobody --reason left", 10),
        ("revoke owner", 2),
        ("revoke owner --reason Because", 2),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_written(week, data, words, code):
    file = data / "studio" / "keys" / "credentials.json"
    before, entries = file.read_bytes(), week("log", "--raw").out
    assert week("credentials", *words.split()).code == code
    assert (file.read_bytes(), week("log", "--raw").out) == (before, entries)


def test_an_id_that_was_ever_used_stands_for_nobody_else(week):
    assert week("credentials", "issue", "desk", "--role", "service").code == 0
    assert week("credentials", "revoke", "desk", "--reason", "left").code == 0
    refused = week("credentials", "issue", "desk", "--role", "auditor")
    assert (refused.code, "exists already" in refused.err) == (11, True)
