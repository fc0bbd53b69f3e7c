"""The HTTP face of Continuity Ledger: requests in, receipts and proofs out.

The topmost layer: it may import from every other package, and none imports from it.
"""
