"""Where a verb works and how it speaks: ``--data``, ``--store``, ``--ledger``, ``--json``, before and after the verb.

Owns these four options and the opening of the ledger that they name. Never reads the environment by itself: click does
(``CONTINUITY_DATA``, ``CONTINUITY_STORE``, ``CONTINUITY_LEDGER``). What stands after the verb wins over what stands
before it, that over the environment, that over the default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from ledger.errors import NotFound
from ledger.log import NAME, Log
from ledger.store.opening import StoreURL, open_store
from ledger.store.protocol import Store
from projections.runner import Runner
from projections.store.opening import open_projections
from projections.store.protocol import ProjectionStore
from tools.cli import output
from tools.cli.exit_codes import ExitCode

DATA = "./data"
LEDGER = "studio"


class Settings(Struct):
    """The four options as they stand, and ``outcome``: the exit code of a verb that ends without an error."""

    data: Path = Path(DATA)
    store: StoreURL | None = None
    ledger: str = LEDGER
    json: bool = False
    outcome: ExitCode = ExitCode.OK

    @property
    def folder(self) -> Path:
        """The folder of the ledger."""
        return self.data / self.ledger

    def ledgers(self) -> list[str]:
        """The names of the ledgers in the data folder: those with keys, and copies without."""
        found = {path.parent.name for kind in ("keys", "ledger.db") for path in self.data.glob(f"*/{kind}")}
        return sorted(name for name in found if NAME.fullmatch(name))  # not what a killed init has left

    @contextmanager
    def opened(self, *, accept_clock: bool = False) -> Iterator[Log]:
        """The ledger, opened for the time of the context. Raises what ``Log.open`` raises."""
        with Log.open(self.data, self.ledger, store=self.store, accept_clock=accept_clock, alarm=output.say) as log:
            yield log

    @contextmanager
    def store_alone(self) -> Iterator[Store]:
        """The ledger's store without its keys, for the time of the context. Raises ``NotFound``, ``StoreError``."""
        if not NAME.fullmatch(self.ledger):
            raise NotFound(f"there is no ledger {self.ledger!r} in {self.data}")
        with closing(open_store(self.store, self.ledger, self.folder)) as store:
            yield store

    def projections(self) -> ProjectionStore:
        """The rows of its projections; for the caller to close. Raises ``StoreError``."""
        return open_projections(self.store, self.ledger, self.folder)

    @contextmanager
    def running(self) -> Iterator[tuple[Log, Runner]]:
        """The ledger and its projections, opened for the time of the context. Raises also ``StoreError``."""
        with self.opened() as log, Runner(log, self.projections()) as runner:
            yield log, runner


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    if value not in (None, False) and parameter.name is not None:
        setattr(settings, parameter.name, value)


class _Store(click.ParamType[StoreURL]):
    """The URL of a database; what is wrong with one is said without quoting it, since it may hold a password."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> StoreURL:
        """The URL, parsed."""
        try:
            return value if isinstance(value, StoreURL) else StoreURL(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def options(*, before_verb: bool) -> list[click.Parameter]:
    """The four options: before the verb with environment and default, after it without."""

    def option(name: str, help_text: str, variable: str, default: Any, **more: Any) -> click.Option:
        if before_verb:
            more |= {"envvar": variable, "show_envvar": True, "default": default, "show_default": True}
        return click.Option([name], help=help_text, callback=_keep, expose_value=False, is_eager=True, **more)

    folder = click.Path(file_okay=False, path_type=Path)
    return [
        option("--data", "Folder of all ledgers.", "CONTINUITY_DATA", DATA, type=folder, metavar="DIR"),
        option(
            "--store",
            "PostgreSQL database that holds the ledgers; without it, each is a file in its folder.",
            "CONTINUITY_STORE",
            None,
            type=_Store(),
            metavar="URL",
        ),
        option(
            "--ledger",
            "Which ledger.",
            "CONTINUITY_LEDGER",
            LEDGER,
            metavar="NAME",
            shell_complete=_complete_ledger,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Speak JSON: the result on standard output, an error on standard error.",
            callback=_keep,
            expose_value=False,
            is_eager=True,
        ),
    ]


def _complete_ledger(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in context.ensure_object(Settings).ledgers() if name.startswith(incomplete)]


class Verb(click.Command):
    """A command that takes the four options too, and ends its help with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.params = [*self.params, *options(before_verb=False)]
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options, each on a line as it can be pasted."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def verb(name: str, *examples: str) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function a verb: ``@verb("show", "continuity show reservation:R-1")``."""
    return click.command(name, cls=Verb, examples=examples)
