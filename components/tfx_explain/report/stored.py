"""Values of single rows that `store_features` keeps out of all files, as the report tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx_explain.explained_row import NOT_STORED
from tfx_explain.report.gradients import at
from tfx_explain.tables.manifest import STORED_FEATURES, Manifest, is_stored


def told_stored(manifest: Manifest) -> str:
    """Which features of single rows are kept, where not all are."""
    listed = at(manifest, STORED_FEATURES)
    if listed is None:
        return ""
    kept = f"those of {', '.join(listed)}" if listed else "none"
    return f"{kept}, as store_features says; others are shown as {NOT_STORED}"


def stored_players(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Player -> its features whose values files may hold."""
    players: Mapping[str, Sequence[str]] = at(manifest, "players") or {}
    return {player: tuple(name for name in of if is_stored(manifest, name)) for player, of in players.items()}
