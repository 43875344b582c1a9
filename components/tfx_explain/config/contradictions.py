"""Demands of one policy that cannot hold together, found when the policy is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import optimize, sparse

from tfx_explain.config.rules import AttributionRule
from tfx_explain.judgement import RULES, Demand

Named = tuple[str, Any]
"""A rule's name and its settings."""

_ROUNDING = 1e-9
_MAX_PRUNED = 20
_MAX_ENTRIES = 200_000
"""Names in all rules about shares, beyond which contradictions are left to the verdict: one of the rules fails."""
_OF_SHARES = (Demand.SHARE_AT_MOST, Demand.SHARE_AT_LEAST, Demand.EACH_SHARE_AT_MOST)


def find_contradiction(rules: Sequence[Named]) -> str:
    """The first contradiction among rules, as a sentence without its full stop; empty where there is none."""
    checks = (_listed_twice, _both_ways, _crowded_top, _important_canary, _impossible_shares)
    by_method: dict[str | None, list[Named]] = {}
    for name, settings in rules:
        method = settings.method if isinstance(settings, AttributionRule) else None
        by_method.setdefault(method, []).append((name, settings))
    return next(filter(None, (check(of_method) for of_method in by_method.values() for check in checks)), "")


def _listed_twice(rules: Sequence[Named]) -> str:
    """The same demand on the same players, whatever its limit: the stricter one alone says it all."""
    seen: dict[str, str] = {}
    for name, settings in rules:
        limits = RULES[name].limits
        target = {key: value for key, value in settings.model_dump().items() if key not in limits}
        if "players" in target and target["players"] is not None:
            target["players"] = sorted(set(target["players"]))
        key = f"{name} {sorted(target.items())}"
        if key in seen:
            whom = _whom(settings)
            return f"rule `{name}` is listed twice{f' for {whom}' if whom else ''}; keep the stricter of the two"
        seen[key] = name
    return ""


def _demanding(rules: Sequence[Named], *demands: Demand) -> list[Named]:
    return [(name, settings) for name, settings in rules if RULES[name].demand in demands]


def _both_ways(rules: Sequence[Named]) -> str:
    demanded: dict[str, dict[str, set[str]]] = {}
    for name, settings in _demanding(rules, Demand.DIRECTION):
        of_rule = demanded.setdefault(name, {each: set() for each in RULES[name].directions})
        named = getattr(settings, RULES[name].about or "")
        of_rule[settings.direction].update([named] if isinstance(named, str) else named)
    for name in sorted(demanded, key=list(RULES).index):
        (one, of_one), (other, of_other) = demanded[name].items()
        both = of_one & of_other
        if both:
            return f"rule `{name}` demands `{one}` and `{other}` of `{min(both)}`; keep one of them"
    return ""


def _crowded_top(rules: Sequence[Named]) -> str:
    named: set[str] = set()
    for name, settings in sorted(_demanding(rules, Demand.AMONG_TOP_K), key=lambda rule: (rule[1].k, rule[1].players)):
        named |= set(settings.players)
        if len(named) > settings.k:
            listed, k = ", ".join(sorted(named)), settings.k
            return f"`{name}` wants {len(named)} players among the top {k} ({listed}); raise `k` or name fewer"
    return ""


def _important_canary(rules: Sequence[Named]) -> str:
    canaries = {settings.feature for _, settings in _demanding(rules, Demand.MORE_THAN_NOISE)}
    for name, settings in _demanding(rules, *(demand for demand in Demand if demand.is_to_matter)):
        both = canaries & set(settings.players)
        if both:
            return f"`{min(both)}` is a canary, which must not matter, but `{name}` wants it to; take it out of one"
    return ""


def _impossible_shares(rules: Sequence[Named]) -> str:
    """No shares, all 0 or more and 1 together, meet all rules about shares; names as few rules as contradict."""
    about = _clashing(_demanding(rules, *_OF_SHARES))
    if not about:
        return ""
    if len(about) <= _MAX_PRUNED:
        # What is left when each rule has been left out, if the others contradict without it, contradicts as a whole.
        for rule in list(about):
            without = [other for other in about if other is not rule]
            about = without if _clashing(without) else about
    shown = ", ".join(f"`{name}`{f' of {_whom(s)}' if _whom(s) else ''} {s.value:g}" for name, s in about[:_MAX_PRUNED])
    more = f" and {len(about) - _MAX_PRUNED:,} more" if len(about) > _MAX_PRUNED else ""
    return f"these rules cannot hold together: {shown}{more}; relax one of them"


def _clashing(rules: Sequence[Named]) -> list[Named]:
    """Some of these rules that no shares meet together; none where there are shares that meet all of them.

    Each rule may be missed by something, and the least sum of that is sought: a linear programme that always has a
    solution, whose sum is 0 where the rules can hold together, and whose prices name the rules that are in the way.
    Players in exactly the same rules are one unknown, so its size is that of the policy.
    """
    kinds = _kinds_of_players(rules)
    n_kinds = len(kinds)
    demands = [RULES[name].demand for name, _ in rules]
    top = next((index for index, demand in enumerate(demands) if demand is Demand.EACH_SHARE_AT_MOST), None)
    of_sums = [index for index in range(len(rules)) if index != top]
    senses = {index: 1.0 if demands[index] is Demand.SHARE_AT_MOST else -1.0 for index in of_sums}
    row_of = {index: row for row, index in enumerate(of_sums)}
    owners = [*of_sums, *([] if top is None else [top] * n_kinds)]
    limits = [senses[index] * rules[index][1].value for index in of_sums]
    # Row, unknown and factor of: factors * unknowns <= limits.
    entries = [(row_of[index], n_kinds + 1 + index, -1.0) for index in of_sums]
    for kind, (members, n_players) in enumerate(kinds.items()):
        entries += [(row_of[index], kind, senses[index]) for index in sorted(members)]
        if top is not None:
            entries += [(len(limits), kind, 1.0), (len(limits), n_kinds + 1 + top, -float(n_players))]
            limits.append(n_players * rules[top][1].value)
    if not limits or len(entries) > _MAX_ENTRIES:
        return []
    n_unknowns = n_kinds + 1 + len(rules)
    cost = np.repeat([0.0, 1.0], [n_kinds + 1, len(rules)])
    at, unknowns, factors = zip(*entries, strict=True)
    found = optimize.linprog(
        cost,
        A_ub=sparse.csr_matrix((factors, (at, unknowns)), shape=(len(limits), n_unknowns)),
        b_ub=limits,
        A_eq=sparse.csr_matrix(1.0 - cost),
        b_eq=[1.0],
        method="highs-ipm",
        options={"primal_feasibility_tolerance": _ROUNDING},
    )
    if found.status != 0 or found.fun <= 10 * _ROUNDING:
        return []
    prices = zip(owners, found.ineqlin.marginals, strict=True)
    in_the_way = {index for index, price in prices if abs(price) > _ROUNDING}
    return [rule for index, rule in enumerate(rules) if index in in_the_way]


def _kinds_of_players(rules: Sequence[Named]) -> dict[frozenset[int], int]:
    """The rules that name a player -> how many players exactly these rules name."""
    named: dict[str, set[int]] = {}
    for index, (_, settings) in enumerate(rules):
        for player in getattr(settings, "players", ()):
            named.setdefault(player, set()).add(index)
    return dict(Counter(frozenset(members) for members in named.values()))


def _whom(settings: Any) -> str:
    """The players that a rule names, as it names them."""
    players = getattr(settings, "players", None) or getattr(settings, "feature", None) or ()
    return f"`{players}`" if isinstance(players, str) else ", ".join(f"`{player}`" for player in players)
