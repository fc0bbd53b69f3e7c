"""One fixture for every kind of vault: a test that takes ``place`` or ``vault`` runs once for each."""

import pytest

from tools.vaults.opening import open_vault


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path, monkeypatch):
    """Where an empty vault is, as a person would type it."""
    if request.param == "folder":
        return str(tmp_path / "vault" / "of ours")
    server = request.getfixturevalue("s3_server")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.bucket()}/logs/studio"


@pytest.fixture
def vault(place):
    """An empty vault."""
    return open_vault(place)
