"""Operations on a ledger, called by the command line and by the HTTP service alike.

Imports from ``projections`` and ``ledger``; never from ``api``.
"""
