"""Some clients at once, each waiting for its answer before it asks again; how many events a second they got through.

The same loop for everyone who is driven from this process; peers in processes of their own run it in their language.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Request = TypeVar("Request")


def drive(requests: Sequence[Sequence[Request]], send: Callable[[int, Request], int], seconds: float) -> float:
    """Events a second, from the first request to the last answer.

    Each client sends its own requests one after another until there is none left or ``seconds`` are over;
    ``send(client, request)`` returns the number of events that are durable now. Raises what it raises.
    """
    done = [0] * len(requests)
    faults: list[BaseException] = []
    start = time.perf_counter()

    def run(client: int) -> None:
        try:
            for request in requests[client]:
                done[client] += send(client, request)
                if time.perf_counter() - start >= seconds:
                    return
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            faults.append(error)

    if len(requests) == 1:
        run(0)
    else:
        threads = [threading.Thread(target=run, args=(client,)) for client in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    elapsed = time.perf_counter() - start
    if faults:
        raise faults[0]
    return sum(done) / elapsed
