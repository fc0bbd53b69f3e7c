"""Three witnesses on their own servers, and what they do for a ledger: cosign one history, and refuse every other."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.log import Log
from ledger.merkle import leaf_hash
from ledger.note import VerifierKey
from ledger.tiles import Edge, entries_path, parse_bundle, tile_path, tiles_at
from ledger.trust_policy import open_witnessed, parse_policy
from tests.acceptance.conftest import Run
from tests.support.events import requested
from tests.support.witnesses import Serving, serving

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Serving]]:
    """Three witnesses that listen."""
    folder = tmp_path_factory.mktemp("witnesses")
    with ExitStack() as servers:
        yield [servers.enter_context(serving(folder / f"w{number}")) for number in range(3)]


@pytest.fixture
def origin() -> str:
    """An origin that no witness has heard of."""
    return f"ledger.example/studio-{next(_numbers)}"


@pytest.fixture
def studio(run: Run, origin: str) -> Run:
    """``run``, with an empty ledger of that origin."""
    assert run("init", "studio", "--origin", origin).code == 0
    return run


@pytest.fixture
def policy(week: Run, three: list[Serving], data: Path, tmp_path: Path) -> Path:
    """A policy that asks for two of three witnesses, which know the ledger."""
    log_keys = tmp_path / "studio.vkey"
    with Log.open(data, "studio") as log:
        log_keys.write_text("\n".join(map(str, log.verifier_keys)))
    lines = [f"log {key}" for key in log_keys.read_text().split("\n")]
    for number, one in enumerate(three):
        assert week("witness", "add-log", one.folder, "--key", log_keys).code == 0
        lines.append(f"witness w{number} {one.key} {one.address}")
    path = tmp_path / "studio.policy"
    path.write_text("\n".join([*lines, "group all-of-them 2 w0 w1 w2", "quorum all-of-them", ""]))
    return path


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own server
        content: bytes = answer.read()
    return content


def outcomes(document: dict[str, object]) -> list[tuple[str, str]]:
    return [(one["name"], one["outcome"]) for one in document["witnesses"]]  # type: ignore[index, attr-defined]


def test_a_growing_history_is_cosigned_again_and_again(week: Run, policy: Path, origin: str, tmp_path: Path) -> None:
    for size, grows in ((41, True), (42, False), (42, True), (43, False)):
        collected = week("witness", "collect", "--policy", policy, "--out", tmp_path / "kept", "--json").json
        assert collected["agreed"] is True
        assert outcomes(collected) == [("w0", "cosigned"), ("w1", "cosigned"), ("w2", "cosigned")]
        opened = open_witnessed((tmp_path / "kept").read_bytes(), parse_policy(policy.read_bytes()))
        assert (opened.origin, opened.size) == (origin, size)
        assert not grows or week("append", stdin=requested(f"R-{size}")).code == 0


def test_a_ledger_that_was_rolled_back_and_went_another_way_is_refused_by_all(
    week: Run, policy: Path, data: Path
) -> None:
    before = data.parent / "before"
    shutil.copytree(data / "studio", before)
    assert week("append", stdin=requested("R-91")).code == 0
    assert week("witness", "collect", "--policy", policy).code == 0
    shutil.rmtree(data / "studio")
    shutil.copytree(before, data / "studio")  # with the signer's memory, so that the machine itself notices nothing

    smaller = week("witness", "collect", "--policy", policy, "--json")
    assert week("append", stdin=requested("R-92")).code == 0
    same_size = week("witness", "collect", "--policy", policy, "--json")
    assert week("append", stdin=requested("R-93")).code == 0
    larger = week("witness", "collect", "--policy", policy, "--json")

    for answer in (smaller, same_size, larger):
        assert answer.code == 20
        assert answer.json["agreed"] is False
        assert [outcome for _, outcome in outcomes(answer.json)] == ["refused"] * 3
    assert "it has cosigned a tree of 42, this one has 41" in smaller.json["witnesses"][0]["detail"]
    assert same_size.json["witnesses"][0]["detail"].startswith("422")
    assert larger.json["witnesses"][0]["detail"].startswith("422")


def test_two_histories_shown_to_different_witnesses_reach_no_two_quorums(
    week: Run, policy: Path, data: Path, tmp_path: Path
) -> None:
    twin = data.parent / "twin"
    shutil.copytree(data / "studio", twin / "studio")
    assert week("append", stdin=requested("R-91")).code == 0
    assert week("--data", twin, "append", stdin=requested("R-92")).code == 0
    lines = policy.read_text().split("\n")
    only = {number: tmp_path / f"only{number}.policy" for number in range(3)}
    for number, path in only.items():  # each history goes to witnesses of its own choice
        path.write_text(
            "\n".join(line for line in lines if not re.match(rf"(witness w[^{number}]|group|quorum)", line))
            + f"\nquorum w{number}\n"
        )

    assert week("witness", "collect", "--policy", only[0]).code == 0
    assert week("--data", twin, "witness", "collect", "--policy", only[2]).code == 0
    one = week("witness", "collect", "--policy", policy, "--json")
    other = week("--data", twin, "witness", "collect", "--policy", policy, "--json")

    assert sorted([one.json["agreed"], other.json["agreed"]]) == [False, True]
    assert outcomes(one.json) == [("w0", "cosigned"), ("w1", "cosigned"), ("w2", "refused")]
    assert outcomes(other.json) == [("w0", "refused"), ("w1", "refused"), ("w2", "cosigned")]


def test_a_witness_that_is_down_is_told_and_the_others_are_enough(week: Run, policy: Path) -> None:
    text = re.sub(r"(witness w2 \S+) \S+", r"\1 http://127.0.0.1:9", policy.read_text())
    policy.write_text(text)

    collected = week("witness", "collect", "--policy", policy)

    assert collected.code == 0
    assert "w2: unreachable" in collected.err


def test_the_sizes_that_witnesses_know_may_be_forgotten(week: Run, policy: Path, data: Path) -> None:
    assert week("witness", "collect", "--policy", policy).code == 0
    (data / "studio" / "witnesses.json").unlink()
    assert week("append", stdin=requested("R-91")).code == 0

    assert week("witness", "collect", "--policy", policy, "--json").json["agreed"] is True


def test_monitors_fetch_what_a_witness_cosigned_last(week: Run, policy: Path, origin: str) -> None:
    assert week("witness", "collect", "--policy", policy).code == 0
    address = re.search(r"witness w1 \S+ (\S+)", policy.read_text())
    assert address is not None

    note = fetched(f"{address[1]}/{sha256(origin.encode()).hexdigest()}/checkpoint")

    assert re.search(rb"\n41\n", note)
    keys = [VerifierKey.parse(line) for line in fetched(f"{address[1]}/").decode().split()]
    assert [key.name for key in keys] == ["witness.example/w1"] * 2
    for path in ("/../name/checkpoint", "/" + "0" * 64 + "/checkpoint", "/ed25519.seed"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetched(address[1] + path)


def test_an_unknown_log_is_not_cosigned(week: Run, policy: Path) -> None:
    week("init", "other", "--origin", "ledger.example/unknown")

    refused = week("--ledger", "other", "witness", "collect", "--policy", policy)

    assert refused.code == 20
    assert "w0: refused: 404" in refused.err
    assert "the quorum is not reached" in refused.err


def test_published_files_prove_the_log_to_anybody_and_follow_it(week: Run, policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "www"
    for size in (41, 42):
        told = week("publish", out, "--policy", policy, "--entries", "--json").json
        assert (told["published"], told["size"]) == (True, size)
        checkpoint = open_witnessed((out / "checkpoint").read_bytes(), parse_policy(policy.read_bytes()))
        edge = Edge()
        for tile in tiles_at(size):
            if tile.level == 0:
                entries = parse_bundle((out / entries_path(tile.index, tile.width)).read_bytes())
                leaves = [leaf_hash(entry) for entry in entries]
                assert b"".join(leaves) == (out / tile_path(0, tile.index, tile.width)).read_bytes()
                edge.extend(leaves)
        assert (edge.size, edge.root()) == (checkpoint.size, checkpoint.root)
        assert week("append", stdin=requested(f"R-{size}")).code == 0
    assert week("publish", out, "--entries", "--json").json["files"] == 3
    assert week("publish", out, "--entries", "--json").json["files"] == 0


def test_without_a_quorum_nothing_is_published(week: Run, policy: Path, tmp_path: Path) -> None:
    policy.write_text(re.sub(r"(witness w[01] \S+) \S+", r"\1 http://127.0.0.1:9", policy.read_text()))

    refused = week("publish", tmp_path / "www", "--policy", policy)

    assert refused.code == 20
    assert not (tmp_path / "www").exists()


def test_without_entries_no_entry_is_published(week: Run, tmp_path: Path) -> None:
    assert week("publish", tmp_path / "www").code == 0

    content = b"".join(path.read_bytes() for path in (tmp_path / "www").rglob("*") if path.is_file())
    assert b"M-1001" not in content
    assert not list((tmp_path / "www").rglob("entries"))


def test_a_witness_is_made_once_and_read_by_its_owner_alone(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    made = run("witness", "init", folder, "--name", "w.example", "--json").json

    assert run("witness", "keys", folder, "--json").json == made
    assert run("witness", "init", folder, "--name", "w.example").code == 11
    assert run("witness", "init", tmp_path / "v", "--name", "a b").code == 22
    assert not (tmp_path / "v").exists()
    assert run("witness", "keys", tmp_path / "v").code == 10
    folder.chmod(0o755)
    assert run("witness", "keys", folder).code == 12
    assert json.dumps(made).count("PRIVATE") == 0
