"""The read side of Continuity Ledger: everything here can be thrown away and rebuilt from the log.

Imports from ``ledger`` only; never from ``tools`` or ``api``.
"""
