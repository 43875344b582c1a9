"""Who the players of a job are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx_explain.config import FeaturesConfig
from tfx_explain.errors import ConfigError

REST = "other_features"
"""The player that holds the features the configuration leaves out, so that attributions still add up."""


def choose_players(read: Sequence[str], features: FeaturesConfig) -> dict[str, tuple[str, ...]]:
    """Player name -> its features: each feature that is read, or the group it is in.

    Features that the configuration leaves out form one player, `other_features`: the sum of the attributions is then
    still prediction - base value.
    """
    named = [*(features.include or ()), *features.exclude, *(m for group in features.groups.values() for m in group)]
    for name in named:
        if name not in read:
            raise ConfigError(f"`features` names `{name}`, which the model does not read; it reads {', '.join(read)}.")
    for group, members in features.groups.items():
        if group in read and group not in members:
            raise ConfigError(
                f"group `{group}` has the name of a feature outside it; choose another name for the group."
            )
    chosen = [name for name in (features.include or read) if name not in features.exclude]
    for group, members in features.groups.items():
        for member in members:
            if member not in chosen:
                raise ConfigError(f"feature `{member}` is both in group `{group}` and left out; do one of the two.")
    group_of = {member: group for group, members in features.groups.items() for member in members}
    players: dict[str, tuple[str, ...]] = {}
    for name in chosen:
        players[group_of.get(name, name)] = features.groups.get(group_of.get(name, ""), (name,))
    if not players:
        raise ConfigError("`features` leaves nothing to explain; include at least one feature that the model reads.")
    covered = {name for members in players.values() for name in members}
    rest = tuple(name for name in read if name not in covered)
    if rest and REST in players:
        kind, cure = ("group", "choose another name for the group")
        if REST not in features.groups:
            kind, cure = "feature", "put the feature into a group of another name, or leave nothing out"
        raise ConfigError(
            f"`features` leaves out `{rest[0]}`, and what is left out is the player `{REST}`, but a {kind} has that "
            f"name; {cure}."
        )
    return {**players, REST: rest} if rest else players


def choose_players_by_origin(
    read: Sequence[str], origins: Mapping[str, tuple[str, ...]], features: FeaturesConfig
) -> dict[str, tuple[str, ...]]:
    """Player name -> its columns, of transformed examples: the columns that come from the same raw features are one.

    It is called as the raw feature, where it is one, else as all of them with `+` between; a column that comes from
    none is called as itself. The configuration names these, not the columns.

    Args:
      read: columns that the models read.
      origins: column -> the raw features that it comes from.
      features: as given.
    """
    columns_of: dict[str, list[str]] = {}
    for column in read:
        columns_of.setdefault("+".join(origins.get(column, ())) or column, []).append(column)
    by_origin = choose_players(sorted(columns_of), features)
    return {
        player: tuple(sorted(column for origin in members for column in columns_of[origin]))
        for player, members in by_origin.items()
    }
