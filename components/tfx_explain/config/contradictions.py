"""Demands of one policy that cannot hold together, found when the policy is built."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import optimize

Named = tuple[str, Any]
"""A rule's name and its settings."""

_LIMITS = {"value", "max", "k", "tolerance"}
_OPPOSITES = {"sign": ("players", "positive", "negative"), "monotonic": ("feature", "increasing", "decreasing")}
_ROUNDING = 1e-9
_SHARE_RULES = ("max_share", "min_share", "max_top_share")


def find_contradiction(rules: Sequence[Named]) -> str:
    """The first contradiction among rules, as a sentence without its full stop; empty where there is none."""
    checks = (_listed_twice, _both_ways, _crowded_top, _important_canary, _impossible_shares)
    return next(filter(None, (check(rules) for check in checks)), "")


def _listed_twice(rules: Sequence[Named]) -> str:
    """The same demand on the same players, whatever its limit: the stricter one alone says it all."""
    seen: dict[str, str] = {}
    for name, settings in rules:
        target = {key: value for key, value in settings.model_dump().items() if key not in _LIMITS}
        if "players" in target and target["players"] is not None:
            target["players"] = sorted(set(target["players"]))
        key = f"{name} {sorted(target.items())}"
        if key in seen:
            whom = _whom(settings)
            return f"rule `{name}` is listed twice{f' for {whom}' if whom else ''}; keep the stricter of the two"
        seen[key] = name
    return ""


def _both_ways(rules: Sequence[Named]) -> str:
    for name, (field, one, other) in _OPPOSITES.items():
        demanded: dict[str, set[str]] = {}
        for settings in (settings for rule, settings in rules if rule == name):
            named = getattr(settings, field)
            demanded.setdefault(settings.direction, set()).update([named] if isinstance(named, str) else named)
        both = demanded.get(one, set()) & demanded.get(other, set())
        if both:
            return f"rule `{name}` demands `{one}` and `{other}` of `{min(both)}`; keep one of them"
    return ""


def _crowded_top(rules: Sequence[Named]) -> str:
    tops = sorted((settings.k, settings.players) for name, settings in rules if name == "top_k_includes")
    named: set[str] = set()
    for k, players in tops:
        named |= set(players)
        if len(named) > k:
            listed = ", ".join(sorted(named))
            return f"`top_k_includes` wants {len(named)} players among the top {k} ({listed}); raise `k` or name fewer"
    return ""


def _important_canary(rules: Sequence[Named]) -> str:
    canaries = {settings.feature for name, settings in rules if name == "canary"}
    for name, settings in rules:
        if name in ("min_share", "min_importance", "top_k_includes"):
            both = canaries & set(settings.players)
            if both:
                return f"`{min(both)}` is a canary, which must not matter, but `{name}` wants it to; take it out of one"
    return ""


def _impossible_shares(rules: Sequence[Named]) -> str:
    """No shares, all 0 or more and 1 together, meet all rules about shares; names as few rules as contradict."""
    about = [(name, settings) for name, settings in rules if name in _SHARE_RULES]
    if _possible(about):
        return ""
    # What is left when each rule has been left out, if the others contradict without it, contradicts only as a whole.
    for rule in list(about):
        without = [other for other in about if other is not rule]
        about = about if _possible(without) else without
    shown = ", ".join(f"`{name}`{f' of {_whom(s)}' if _whom(s) else ''} {s.value:g}" for name, s in about)
    return f"these rules cannot hold together: {shown}; relax one of them"


def _possible(rules: Sequence[Named]) -> bool:
    """Whether there are shares of the named players, and of others without limit, that meet these rules.

    Shares and what each rule leaves over are non-negative and meet linear equations, or come as near as they can.
    """
    named = sorted(set(itertools.chain.from_iterable(getattr(settings, "players", ()) for _, settings in rules)))
    largest = min((settings.value for name, settings in rules if name == "max_top_share"), default=1.0)
    bounds = [(1.0, {player}, largest) for player in named]
    for name, settings in rules:
        if name != "max_top_share":
            bounds.append((1.0 if name == "max_share" else -1.0, set(settings.players), settings.value))
    sums = np.array([[1.0] * (len(named) + 1), *([p in players for p in named] + [0] for _, players, _ in bounds)])
    left_over = np.vstack([np.zeros(len(bounds)), np.diag([sense for sense, _, _ in bounds])])
    _, distance = optimize.nnls(np.hstack([sums, left_over]), np.array([1.0, *(value for _, _, value in bounds)]))
    return bool(distance < _ROUNDING)


def _whom(settings: Any) -> str:
    """The players that a rule names, as it names them."""
    players = getattr(settings, "players", None) or getattr(settings, "feature", None) or ()
    return f"`{players}`" if isinstance(players, str) else ", ".join(f"`{player}`" for player in players)
