"""The command ``continuity``: what a person or a script at a shell can do with a ledger.

Owns arguments, rendering and exit codes. Never decides anything about a ledger: it calls ``ledger`` and
``projections``. Results go to standard output, everything else to standard error; every verb speaks JSON on request.
"""
