"""``continuity serve``: the HTTP service, in this process."""

from __future__ import annotations

import copy
import ipaddress
import os

import click
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from ledger.private_files import check_private_folder
from tools.cli import output
from tools.cli.exit_codes import ExitCode
from tools.cli.settings import Settings, pass_settings, verb

APPLICATION = "api.app:create_app"
CONNECTION = "api.connections:Connection"
HANDLER = "api.outlet.Handler"
"""Named, not imported: the tools stand below the service, and this verb only starts it."""
MOST_CONNECTIONS = 1_000
"""Connections and requests at once; more are answered with 503, since each may hold a body in memory."""


@verb("serve", "continuity serve", "continuity --data /srv/ledgers serve --port 9000")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@pass_settings
def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the ledgers of the data folder over HTTP.

    It speaks plain HTTP: beyond this machine, put a proxy before it that speaks TLS. Ends on Ctrl-C or SIGTERM, once
    what was acknowledged is committed. A key file of any ledger that others may read is refused, with exit code 12.
    """
    warn_of(host)
    if not settings.ledgers():
        output.say(f"warning: {settings.data} holds no ledger yet; make one with: continuity init NAME --origin ORIGIN")
    for name in settings.ledgers():  # at once, and not at the first request to one of them
        if (keys := settings.data / name / "keys").is_dir():
            check_private_folder(keys)
    os.environ["CONTINUITY_DATA"] = str(settings.data)
    if settings.store is not None:
        os.environ["CONTINUITY_STORE"] = settings.store.reveal()
    try:
        uvicorn.run(
            APPLICATION,
            factory=True,
            http=CONNECTION,
            host=host,
            port=port,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            access_log=False,
            log_config=logging_of(),
        )
    except ValueError as error:  # a setting in the environment that is impossible
        raise click.UsageError(str(error), click.get_current_context()) from None
    except SystemExit as ended:  # uvicorn's own codes mean other things than ours
        settings.outcome = ExitCode.FAILURE if ended.code else ExitCode.OK


def warn_of(host: str) -> None:
    """Warn of an address that others may reach."""
    if not _is_loopback(host):
        output.say(f"warning: {host} may be reached from other machines, and this is HTTP without TLS")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def logging_of() -> dict[str, object]:
    """Uvicorn's logging, and that of all libraries, all of it on standard error, where nobody waits for its reader."""
    config = copy.deepcopy(LOGGING_CONFIG)
    for name, handler in config["handlers"].items():
        config["handlers"][name] = {"class": HANDLER, "formatter": handler["formatter"]}
    config["root"] = {"handlers": ["default"], "level": "WARNING"}
    return config
