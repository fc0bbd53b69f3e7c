"""The peers: other event stores, each given the same events in the same requests, and asked for the same durability.

A peer is optional. What isn't on this machine is "not installed" in the report, and the run goes on. ``make
bench-peers`` fetches those that don't come with the project's development tools into ``.bench/``, in the versions that
``requirements.txt`` and ``package.json`` here name. They stay out of ``pyproject.toml`` on purpose: nothing of ours
needs them, a machine for which one has no build must still be able to set up, and each runs in processes of its own, so
that no interpreter is shared with ours.
"""
