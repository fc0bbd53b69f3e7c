"""The audit: derive a whole ledger again from its bytes and verifier keys, and name the first position that disagrees.

Owns the order of the checks, the kinds of fault and their positions (docs/how-to/audit.md). Trusts nothing that the
store says of its entries. Never writes, never repairs, and never fails on what it finds: whatever can't be read is a
fault with a position.
"""

from ledger.audit.faults import Fault, Report
from ledger.audit.run import audit
from ledger.audit.source import Source, SourceReads

__all__ = ["Fault", "Report", "Source", "SourceReads", "audit"]
