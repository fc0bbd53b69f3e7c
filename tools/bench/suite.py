"""The measurements, in their order. To add one: a module in ``tools.bench.work``, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tools.bench.measure import Figure
from tools.bench.session import Session
from tools.bench.work import append, audit, growth, http, proof, rebuild, redaction


class Measurement(NamedTuple):
    """One section of the report, by the word that chooses it."""

    key: str
    title: str
    text: str
    figures: Callable[[Session], Iterator[Figure]]
    long: bool = False
    """Taken only when it is asked for by its key."""


SUITE = (
    Measurement("append", append.TITLE, append.TEXT, append.figures),
    Measurement("http", http.TITLE, http.TEXT, http.figures),
    Measurement("audit", audit.TITLE, audit.TEXT, audit.figures),
    Measurement("proof", proof.TITLE, proof.TEXT, proof.figures),
    Measurement("redaction", redaction.TITLE, redaction.TEXT, redaction.figures),
    Measurement("rebuild", rebuild.TITLE, rebuild.TEXT, rebuild.figures),
    Measurement("rebuild-1m", rebuild.LONG_TITLE, rebuild.LONG_TEXT, rebuild.long_figures, long=True),
    Measurement("growth", growth.TITLE, growth.TEXT, growth.figures, long=True),
)
