"""The write side of Continuity Ledger: events in, hash-chained entries out; usable with no web server.

Never imports from ``projections``, ``tools`` or ``api``.
"""
