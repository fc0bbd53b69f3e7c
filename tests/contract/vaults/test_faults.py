"""What each vault says when it can't do its work: the fault, its place and the way out, and never a secret."""

import os
import socket
import threading

import pytest
import urllib3

from tests.support.s3 import free_port
from tools.vaults import s3
from tools.vaults.opening import below, open_vault
from tools.vaults.protocol import Kind, VaultDenied, VaultError, VaultMissing, VaultUnreachable
from tools.vaults.s3 import S3Access

BYTES = Kind("application/octet-stream", "no-cache")
MOST = 1 << 20
SECRET = "made-up-secret-of-this-test"
WORK = {
    "get": lambda vault: vault.get("checkpoint", MOST),
    "put": lambda vault: vault.put("checkpoint", b"x", BYTES),
    "add": lambda vault: vault.add("checkpoint", b"x", BYTES),
    "list": lambda vault: list(vault.list("")),
    "remove": lambda vault: vault.remove(["checkpoint"]),
}


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """An empty bucket, reached by the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.bucket()


def refused(vault, work, error):
    with pytest.raises(error) as raised:
        WORK[work](vault)
    assert SECRET not in f"{raised.value} {raised.value.advice}"
    assert raised.value.advice
    return str(raised.value)


@pytest.mark.parametrize("work", WORK)
def test_wrong_credentials_are_told_from_all_else(s3_server, bucket, monkeypatch, work):
    if not s3_server.heeds_keys:
        pytest.skip("this server takes any credentials")
    monkeypatch.setenv("CONTINUITY_S3_SECRET_KEY", SECRET)
    said = refused(open_vault(f"s3://{bucket}/a"), work, VaultDenied)
    assert f"s3://{bucket}/a at {s3_server.endpoint}" in said
    monkeypatch.setenv("CONTINUITY_S3_ACCESS_KEY", "nobody")
    refused(open_vault(f"s3://{bucket}/a"), work, VaultDenied)


@pytest.mark.parametrize("work", WORK)
def test_a_bucket_that_is_not_there_is_named(bucket, work):
    assert "no bucket nobodys-bucket" in refused(open_vault("s3://nobodys-bucket/a"), work, VaultMissing)


@pytest.mark.parametrize("work", WORK)
def test_a_server_that_is_away_is_unreachable(bucket, work, monkeypatch):
    monkeypatch.setattr("tools.vaults.s3._RETRIES", s3._RETRIES.new(backoff_factor=0))
    away = open_vault(f"s3://{bucket}", endpoint=f"http://127.0.0.1:{free_port()}")
    assert "Connection refused" in refused(away, work, VaultUnreachable)


def test_a_server_that_never_answers_is_given_up(bucket, monkeypatch):
    monkeypatch.setattr("tools.vaults.s3.READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        vault = open_vault(f"s3://{bucket}", endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "timed out" in refused(vault, "put", VaultUnreachable)


def test_what_is_no_s3_server_is_said_to_be_none(bucket):
    def answer():
        connection, _ = other.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n???")

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=answer)
        thread.start()
        vault = open_vault(f"s3://{bucket}", endpoint=f"http://127.0.0.1:{other.getsockname()[1]}")
        assert "is no S3 server" in refused(vault, "get", VaultUnreachable)
        thread.join()


def test_no_credentials_at_all_are_asked_for(bucket, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("AWS_", "CONTINUITY_S3_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    vault = open_vault(f"s3://{bucket}", endpoint="http://127.0.0.1:9")
    assert "there are no credentials" in refused(vault, "get", VaultDenied)


def test_the_variables_of_aws_are_taken_too(s3_server, bucket, monkeypatch):
    for name in s3_server.environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    open_vault(f"s3://{bucket}/x").put("checkpoint", b"1", BYTES)

    assert open_vault(f"s3://{bucket}/x").get("checkpoint", MOST) == b"1"


def test_objects_carry_what_they_are_and_how_long_they_may_be_kept(s3_server, bucket):
    open_vault(f"s3://{bucket}/x").add("tile/0/000", b"1", BYTES)

    headers = s3_server.client().stat_object(bucket, "x/tile/0/000").metadata
    assert (headers["Content-Type"], headers["Cache-Control"]) == (BYTES.content_type, BYTES.cache_control)


def test_a_put_of_what_never_changes_asks_the_server_not_to_replace(bucket, monkeypatch):
    sent = []
    send = urllib3.PoolManager.urlopen

    def noted(pool, method, *rest, **options):
        sent.append((method, options["headers"].get("If-None-Match")))
        return send(pool, method, *rest, **options)

    monkeypatch.setattr(urllib3.PoolManager, "urlopen", noted)
    vault = open_vault(f"s3://{bucket}/x")
    vault.add("a", b"1", BYTES)
    vault.put("b", b"1", BYTES)

    assert [condition for method, condition in sent if method == "PUT"] == ["*", None]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("work", ["put", "add"])
def test_a_folder_that_may_not_be_written_is_denied(tmp_path, work):
    tmp_path.chmod(0o500)
    refused(open_vault(str(tmp_path / "a")), work, VaultDenied)


@pytest.mark.parametrize("work", ["put", "add"])
def test_a_file_where_the_folder_should_be_is_told(tmp_path, work):
    (tmp_path / "a").write_bytes(b"")
    assert str(tmp_path / "a") in refused(open_vault(str(tmp_path / "a")), work, VaultError)


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("", "not a vault"),
        ("ftp://host/x", "not a vault"),
        ("s3:///x", "not the name of a bucket"),
        ("s3://Big_Bucket/x", "not the name of a bucket"),
        ("s3://bucket/../x", "not a key"),
        ("s3://bucket/a//b", "not a key"),
    ],
)
def test_what_is_no_place_of_a_vault_is_refused(place, fault):
    with pytest.raises(ValueError, match=fault):
        open_vault(place)


@pytest.mark.parametrize("endpoint", ["s3.example", "ftp://s3.example", "https://", "https://s3.example/path"])
def test_what_is_no_endpoint_is_refused(endpoint):
    with pytest.raises(ValueError, match="not the endpoint of an S3 server"):
        S3Access.from_environment({}, endpoint)


def test_secrets_in_an_endpoint_or_half_a_pair_of_keys_are_refused_without_being_shown():
    with pytest.raises(ValueError, match="holds no credentials") as raised:
        S3Access.from_environment({}, f"https://key:{SECRET}@s3.example")
    assert SECRET not in str(raised.value)
    with pytest.raises(ValueError, match="must both be set") as raised:
        S3Access.from_environment({"CONTINUITY_S3_SECRET_KEY": SECRET})
    assert SECRET not in str(raised.value)


def test_a_place_below_another_is_named():
    assert below("s3://bucket/logs/", "studio") == "s3://bucket/logs/studio"
    assert below("/srv/www", "studio") == "/srv/www/studio"
