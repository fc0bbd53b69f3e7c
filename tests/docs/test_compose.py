"""What compose.yaml promises: no default secrets, a health check each, ports of this machine only."""

import re

import pytest


@pytest.fixture(scope="module")
def compose(repository):
    return (repository / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def services(compose):
    """The text of each service by its name."""
    body = compose.split("\nservices:\n")[1].split("\nvolumes:\n")[0]
    parts = re.split(r"(?m)^  ([a-z0-9]+):\n", body)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_it_has_the_database_an_s3_server_and_the_service_each_with_a_health_check(services):
    assert set(services) == {"postgres", "s3", "service"}
    for name, text in services.items():
        assert "healthcheck:" in text, name


def test_every_variable_is_required_and_says_what_it_is(compose):
    used = re.findall(r"\$\{([^}]*)\}", compose)
    assert used
    assert [one for one in used if not re.fullmatch(r"[A-Z0-9_]+:\?[a-z ]+[A-Za-z0-9 ]+", one)] == []


def test_no_secret_stands_in_it(compose):
    for line in compose.splitlines():
        if re.search(r"(PASSWORD|SECRET|ACCESS_KEY)[A-Z_]*:", line):
            assert "${" in line, line
    assert not re.search(r"://[^@\s/]*:[^@\s]*@", compose)


def test_ports_are_published_to_this_machine_alone(compose):
    published = re.findall(r'- "([^"]*:\d+:\d+|\d+:\d+)"', compose)
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_images_are_pinned_to_a_version(compose, repository):
    images = re.findall(r"image: (\S+)", compose) + re.findall(r"^FROM (\S+)", (repository / "Dockerfile").read_text())
    assert all(re.search(r":v?\d", image) for image in images)


def test_each_file_that_it_mounts_is_there(compose, repository):
    for path in re.findall(r"- \./([^:]+):", compose):
        assert (repository / path).is_file()
