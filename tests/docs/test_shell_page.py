"""The reader of runnable pages finds what is missing; otherwise no page's test could fail."""

from pathlib import Path

import pytest

from tests.docs.shell_page import blocks_of, check_page, missing_lines, run_page

PAGE = """\
Say hello:

```sh
echo hello world
```

```text
hello …
```

```console
$ false
```

```sh
echo end
```
"""


def test_only_sh_blocks_are_commands_and_a_text_block_belongs_to_the_one_before() -> None:
    assert [(block.commands, block.promised) for block in blocks_of(PAGE)] == [
        ("echo hello world\n", ("hello …",)),
        ("echo end\n", ()),
    ]


def test_a_page_gives_the_output_of_each_block(tmp_path: Path) -> None:
    assert check_page(PAGE, tmp_path, tmp_path) == ["hello world\n", "end\n"]


def test_a_promise_that_does_not_come_out_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="promises"):
        check_page(PAGE.replace("hello …", "goodbye …"), tmp_path, tmp_path)


def test_a_command_that_fails_stops_the_page(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit code 7"):
        run_page("```sh\n(exit 7)\necho on and on\n```\n", tmp_path, tmp_path)


def test_promised_lines_must_come_in_their_order() -> None:
    assert missing_lines("one\ntwo\n", ("two", "one")) == ["one"]
    assert missing_lines("one\ntwo\nthree\n", ("one", "three")) == []
