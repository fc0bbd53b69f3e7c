"""Promises about the repository itself: what it may name, how it is documented, how long its files are."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("ledger", "projections", "tools", "api")
MAX_LINES = 450
SOURCES = (".css", ".html", ".js", ".py", ".sql")

# Written with character classes, so that this file doesn't name what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:wor[k]|far[m]|roo[t]|home/[a-z]+|tmp/de[v]|Users/[A-Za-z]+)/")
REGISTRY_HOSTS = re.compile(
    r"pypi\.or[g]|pythonhoste[d]|npmjs\.(?:or[g]|co[m])|/pypi/simpl[e]|(?:extra-)?index-ur[l]|trusted-hos[t]"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    """Files under version control that are there."""
    if not (repository / ".git").exists():
        pytest.skip("not a clone: there is no list of tracked files")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout
    return [path for name in listing.split("\0") if name and (path := repository / name).is_file()]


def text_of(path: Path) -> str:
    """Content of a text file; empty for a binary one."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode()


def modules(repository: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((repository / package).rglob("*.py"))


def public_without_docstring(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        continues = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
        if ast.get_docstring(node) is None and not continues & {"overload", "setter"}:
            yield f"{prefix}{node.name} (line {node.lineno})"
        if isinstance(node, ast.ClassDef):
            yield from public_without_docstring(node.body, f"{node.name}.")


def anchors(page: str) -> set[str]:
    """Anchors that a page's headings have, by the rule of the usual Markdown hosts."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(page)}


@pytest.mark.parametrize(
    ("what", "pattern"), [("a path of one machine", MACHINE_PATHS), ("a package registry", REGISTRY_HOSTS)]
)
def test_no_tracked_file_names(what: str, pattern: re.Pattern[str], tracked: list[Path], repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)}:{number}: {line.strip()}"
        for path in tracked
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{what} is named here"


def test_the_patterns_find_what_they_are_for() -> None:
    assert MACHINE_PATHS.search("see /home/" + "someone/notes")
    assert not MACHINE_PATHS.search("https://example.org/home" + "/page/")
    assert REGISTRY_HOSTS.search("--index" + "-url https://example.org")


def test_every_module_says_what_it_is(repository: Path) -> None:
    silent = [str(path) for path in modules(repository) if ast.get_docstring(ast.parse(path.read_bytes())) is None]
    assert not silent


def test_every_public_name_has_a_docstring(repository: Path) -> None:
    silent = {
        str(path.relative_to(repository)): missing
        for path in modules(repository)
        if (missing := list(public_without_docstring(ast.parse(path.read_bytes()).body)))
    }
    assert not silent


def test_no_source_file_is_too_long_to_live_in(tracked: list[Path], repository: Path) -> None:
    long = {
        str(path.relative_to(repository)): lines
        for path in tracked
        if path.suffix in SOURCES and (lines := len(text_of(path).splitlines())) > MAX_LINES
    }
    assert not long


def test_every_link_between_pages_leads_somewhere(tracked: list[Path], repository: Path) -> None:
    dead = []
    for page in (path for path in tracked if path.suffix == ".md"):
        for target in LINK.findall(text_of(page)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            aim = (page.parent / name).resolve() if name else page
            if not aim.exists() or (anchor and anchor not in anchors(text_of(aim))):
                dead.append(f"{page.relative_to(repository)}: {target}")
    assert not dead


def test_every_page_of_the_docs_is_reached_from_the_readme(repository: Path) -> None:
    reached, waiting = set(), [repository / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(text_of(page)))
        waiting += [(page.parent / target).resolve() for target in targets if target and ":" not in target]
    assert not set((repository / "docs").rglob("*.md")) - reached
