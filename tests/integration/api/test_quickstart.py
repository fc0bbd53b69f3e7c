"""The commands of the quickstart do what the page says."""

import re
import shutil
import subprocess

import pytest


def test_the_quickstart_runs_as_it_stands(server, repository):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    page = (repository / "docs" / "quickstart.md").read_text()
    first, *blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert "KEY=" in first
    assert "URL=" in first
    given = f"KEY={server.keys['owner']}\nURL=http://127.0.0.1:{server.port}/v1/ledgers/studio\n"
    post_again = blocks[0].split("\ncurl")[0]
    script = "\n".join(["set -euo pipefail", given, *blocks, post_again])
    done = subprocess.run(
        ["bash", "-c", script], cwd=repository, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for promised in (
        '"receipts"',
        '"stream":"reservation:R-2101"',
        "c2sp.org/tlog-proof@v1",
        "invalid-event",
        "$.type",
    ):
        assert promised in done.stdout
    assert '"duplicate":true' in done.stdout
