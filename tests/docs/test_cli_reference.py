"""The page of the command says what the command does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.cli.exit_codes import MEANINGS
from tools.cli.main import main, verbs
from tools.cli.reference import DOCUMENTS, cli_page


def test_the_committed_page_is_the_generated_one(repository: Path) -> None:
    assert (repository / "docs" / "reference" / "cli.md").read_text(encoding="utf-8") == cli_page(), "run: make docs"


def test_it_tells_of_every_verb_every_option_and_every_exit_code() -> None:
    page = cli_page()
    codes = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in codes] == [(int(code), text) for code, text in MEANINGS.items()]
    sections = dict(part.split("\n", 1) for part in page.split("\n## continuity ")[1:])
    assert list(sections) == [name for name, _ in verbs()]
    for name, command in verbs():
        for option in (each for parameter in command.params for each in parameter.opts if each.startswith("--")):
            assert f"`{option}" in sections[name] + page[: page.index("## Exit codes")]


def test_a_cell_of_a_table_does_not_break_it() -> None:
    for line in cli_page().splitlines():
        if line.startswith("|"):
            assert line.count("|") - line.count("\\|") in (3, 4), line


def test_the_documents_have_the_fields_that_it_names(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTINUITY_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> str:
        assert main(line.split()) == 0
        return capsys.readouterr().out

    keys = json.loads(init := run("init studio --origin localhost/studio --json"))["verifier_keys"]
    (tmp_path / "vkey").write_text("\n".join(keys))
    documents = {"init": init, "append": run(f"append {repository / 'examples' / 'studio-week.ndjson'} --json")}
    (tmp_path / "entry").write_text(run("log --raw --from 3 --to 3"))
    (tmp_path / "proof").write_text(run("prove 3"))
    lines = (
        "log",
        "show reservation:R-2101",
        "query reservations",
        "projections",
        "rebuild",
        "rebuild",
        "rollback-projections",
        "audit",
        "checkpoint",
        "prove 3",
        "consistency 3 41",
        "diff --from 3 --to 9",
        "publish out",
        "attest",
        "check-state",
        "replay --out then.db",
        "slice --out all.slice",
        "version",
    )
    for line in (*lines, "check-proof proof entry --key vkey", "check-slice all.slice --key vkey"):
        documents[line.split()[0]] = run(f"{line} --json")
    (tmp_path / "policy").write_text("quorum none\n")
    for line in ("init w --name w", "add-log w --key vkey", "keys w", "collect --policy policy"):
        documents[f"witness {line.split()[0]}"] = run(f"witness {line} --json")
    for line in ("list", "rewrap", "rotate --reason scheduled --yes", "export-public --history"):
        documents[f"keys {line.split()[0]}"] = run(f"keys {line} --json")
    for line in ("issue kiosk --role service", "list", "revoke kiosk --reason left"):
        documents[f"credentials {line.split()[0]}"] = run(f"credentials {line} --json")
    for line in ("list", "show member", "test member"):
        documents[f"redaction {line.split()[0]}"] = run(f"redaction {line} --json")
    assert documents.keys() == DOCUMENTS.keys()
    for name, document in documents.items():
        fields = DOCUMENTS[name].removesuffix(", …").split(", ")
        assert list(json.loads(document))[: len(fields)] == fields
        assert DOCUMENTS[name].endswith("…") or len(json.loads(document)) == len(fields)
