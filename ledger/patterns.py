"""Forms of texts, each with the words that tell a person of it.

Owns the words: whoever gives a text of another form is told what it may be, never a regular expression. Owns also how a
pattern ends. Which texts there are, their modules know, and register them by ``shaped``.

Invariant: a pattern has one wording, wherever it stands.
"""

from __future__ import annotations

import re

# In Python ``$`` also matches before a last line feed, which no value may end in; JSON Schema readers know no ``\Z``.
END = r"$(?!\n)"
_SAID = re.compile(r"expected `[^`]*` matching regex (?P<pattern>'.*'|\".*\")$", re.IGNORECASE)
_words: dict[str, str] = {}


def shaped(pattern: str, words: str) -> str:
    """The pattern for a whole text; ``words`` end a sentence that begins with "expected".

    Raises ``ValueError`` where the pattern has other words already.
    """
    whole = f"^{pattern}{END}"
    if _words.setdefault(whole, words) != words:
        raise ValueError(f"the pattern {pattern} has the words {_words[whole]!r} already")
    return whole


def in_words(fault: str) -> str:
    """What msgspec says of a value, with the words of a pattern in its place; other faults as they are."""
    return _SAID.sub(lambda said: f"expected {_worded(said['pattern'])}", fault)


def _worded(literal: str) -> str:
    return next((words for pattern, words in _words.items() if repr(pattern) == literal), "a text of another form")
