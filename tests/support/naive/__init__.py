"""What all read models must hold, worked out the slow way: from the list of all entries, anew each time.

Written from the documents (``docs/reference/read-models.md``, ``docs/reference/events.md``), sharing no code with
``projections``. It has no rows that change: each value is looked up in, or counted over, what happened so far. Only
where an event leads is asked of ``ledger.lifecycle``, which has tests of its own.

``tables(facts)`` gives the rows of every table, each a dict by column name. Columns without a value may be left out;
JSON columns hold the value itself.
"""

from tests.support.naive import business, ledgers, possessions, shelves
from tests.support.naive.facts import Fact, facts_of

__all__ = ["Fact", "facts_of", "tables"]


def tables(facts):
    """The rows of every table of every read model, by the table's name, in any order."""
    found = {}
    for module in (business, ledgers, possessions, shelves):
        for table in module.TABLES:
            found[table.__name__] = list(table(facts))
    return found
