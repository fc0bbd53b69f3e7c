"""Benchmarks: our work beside a peer's, in one run, as ratios. ``make bench`` runs them; nothing here is a test."""
