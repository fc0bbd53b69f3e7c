"""Benchmarks: our work beside its peers', in one run, as ratios. ``make bench`` runs them; nothing here is a test.

A measurement is a module in ``tools.bench.work`` and a line in ``tools.bench.suite``; its budget stands beside it. What
was measured goes to docs/benchmarks.json, and the page docs/benchmarks.md is made from that file alone.
"""
