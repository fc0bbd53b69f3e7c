"""The making of a ledger: its folder with keys and store, aside and then renamed into place.

Owns what a crash leaves and how it is cleared away: a folder that was never renamed is no ledger, and a schema that was
made for one is known again by the claim in that folder. Never opens a ledger, and decides no name.

Order of effects: claim, keys, store, owner's key, first entry, rename, end of the claim. A crash up to the rename
leaves what the next attempt clears away, the store before the folder, since that alone tells whose it is. A crash after
the rename leaves a ledger.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from ledger.credentials import Credentials
from ledger.errors import Conflict
from ledger.keys import Keys
from ledger.merkle import HASH_SIZE
from ledger.private_files import read_private, sync_folder, write_private
from ledger.store.opening import StoreURL, create_store, discard_store, reach_store, reclaim_store
from ledger.store.protocol import Head, Store

CLAIM = "claim"
"""The file in a folder in the making, by which the store that is made for it elsewhere is known again: the claim, and
on a second line that store's URL, without a password."""


def make_ledger(
    data: Path,
    name: str,
    origin: str,
    store: StoreURL | None,
    service_role: str | None,
    begin: Callable[[Store, Keys], None],
) -> str:
    """Make the ledger ``name``, and return its owner's key; whoever calls holds the lock of ``data``.

    ``begin`` appends the first entry and closes the store. Raises ``Conflict`` when the name is taken, ``StoreError``.
    """
    folder = data / name
    if folder.exists():
        raise Conflict(f"a ledger {name} exists already in {data}", advice="choose another name")
    aside = data / f".{name}.new"
    if aside.exists():
        _clear(aside, store, name)
    reach_store(store)  # a URL that was mistyped leaves no claim behind, which would bind the next attempt to it
    aside.mkdir(mode=0o700)
    claim = secrets.token_hex(16)
    write_private(aside / CLAIM, f"{claim}\n{'' if store is None else store}".encode())
    keys = Keys.create(aside / "keys", origin)
    head = Head(0, bytes(HASH_SIZE), "", keys.epochs()[-1])
    made = create_store(store, name, aside, origin, head, service_role=service_role, claim=claim)
    try:
        api_key = Credentials(keys.folder).issue("owner", "owner")
        begin(made, keys)
        sync_folder(aside)
        aside.rename(folder)
    except BaseException:
        made.close()
        discard_store(store, name)
        raise
    sync_folder(data)
    (folder / CLAIM).unlink()
    return api_key


def _clear(aside: Path, store: StoreURL | None, name: str) -> None:
    """Clear away what a crash left."""
    if (aside / CLAIM).exists():
        claim, _, elsewhere = read_private(aside / CLAIM).decode().partition("\n")
        if elsewhere and elsewhere != str(store or ""):  # cleared away, nothing would tell whose that schema is
            raise Conflict(
                f"an init of {name} was interrupted that made its store in {elsewhere}",
                advice=f"repeat it with that --store, which takes back what it left there; or if that database is gone "
                f"for good, remove {aside}",
            )
        reclaim_store(store, name, claim)
    shutil.rmtree(aside)
