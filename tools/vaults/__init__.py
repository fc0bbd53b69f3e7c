"""Vaults: places beyond a ledger's store that its files go to, a folder or an S3 bucket.

``protocol`` says what every vault does, ``opening`` makes one from what a person typed.
"""
