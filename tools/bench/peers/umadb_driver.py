"""The driver of UmaDB: its own client, one for each of our clients. Run by itself, with its wheel on the path."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

umadb: Any = importlib.import_module("umadb")


def load(file: str) -> list[list[list[Any]]]:
    """The requests as the client takes them: the whole CloudEvent as data, its stream as a tag."""
    clients = json.loads(Path(file).read_bytes())
    return [[[_event(event) for event in request] for request in requests] for requests in clients]


def _event(event: dict[str, Any]) -> Any:
    data = json.dumps(event, separators=(",", ":")).encode()
    return umadb.Event(event["type"], data, tags=[event["subject"]], uuid=uuid.UUID(event["id"]))


def run(clients: list[list[list[Any]]], url: str, seconds: float) -> dict[str, float]:
    """Send them all, or as many as go in ``seconds``."""
    connected = [umadb.Client(url) for _ in clients]
    done = [0] * len(clients)
    faults: list[BaseException] = []

    def drive(number: int) -> None:
        try:
            for request in clients[number]:
                connected[number].append(request)
                done[number] += len(request)
                if time.perf_counter() - start >= seconds:
                    return
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            faults.append(error)

    threads = [threading.Thread(target=drive, args=(number,)) for number in range(len(clients))]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    if faults:
        raise faults[0]
    return {"events": sum(done), "seconds": elapsed}


def main() -> None:
    """Obey commands from standard input until it ends."""
    loaded: list[list[list[Any]]] = []
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "load" in command:
                loaded = load(command["load"])
            else:
                answer = run(loaded, command["url"], command["run"])
        except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
