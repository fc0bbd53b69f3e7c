"""Every read model there is. A new one is a module of its own, and a line here."""

from __future__ import annotations

from typing import Final

from projections import reservations, stage_history
from projections.projection import Projection

READ_MODELS: Final[tuple[Projection, ...]] = (reservations.PROJECTION, stage_history.PROJECTION)
"""In the order of their names."""
