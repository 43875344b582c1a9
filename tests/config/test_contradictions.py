"""Policies whose rules cannot hold together are refused when they are built, in one sentence; others are not."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain import ConfigError, ValidationConfig


def max_share(value, *players):
    return {"max_share": {"players": players, "value": value}}


def min_share(value, *players):
    return {"min_share": {"players": players, "value": value}}


def top(k, *players):
    return {"top_k_includes": {"k": k, "players": players}}


def sign(direction, *players):
    return {"sign": {"players": players, "direction": direction}}


def monotonic(direction, feature="a", **settings):
    return {"monotonic": {"feature": feature, "direction": direction, **settings}}


TOP = {"max_top_share": {"value": 0.3}}
CANARY = {"canary": {"feature": "noise"}}

CONTRADICTIONS = {
    "less than a part of it": ([max_share(0.1, "a", "b"), min_share(0.2, "a")], "`max_share` of `a`, `b` 0.1, `min_s"),
    "the same players": ([min_share(0.2, "a"), max_share(0.1, "a")], "cannot hold together.*relax one"),
    "more than everything": ([min_share(0.6, "a"), min_share(0.5, "b", "c")], "cannot hold together"),
    "more than everything in three parts": (
        [min_share(0.4, "a"), max_share(0.9, "a"), min_share(0.4, "b"), min_share(0.4, "c")],
        "hold together: `min_share` of `a` 0.4, `min_share` of `b` 0.4, `min_share` of `c` 0.4; relax one",
    ),
    "no room under the largest": ([TOP, min_share(0.7, "a", "b")], "`max_top_share` 0.3, `min_share` of `a`, `b` 0.7"),
    "not in their sum": (
        [max_share(0.5, "a", "b"), max_share(0.5, "c", "d"), min_share(0.6, "a", "c"), min_share(0.6, "b", "d")],
        "cannot hold together",
    ),
    "too many at the top": ([top(2, "a", "b"), top(2, "c", "b")], "wants 3 players among the top 2 \\(a, b, c\\)"),
    "too many at several tops": ([top(1, "a"), top(2, "b", "c")], "wants 3 players among the top 2"),
    "up and down": ([monotonic("increasing"), monotonic("decreasing")], "`increasing` and `decreasing` of `a`"),
    "plus and minus": ([sign("positive", "a", "b"), sign("negative", "b")], "`positive` and `negative` of `b`"),
    "twice": (
        [max_share(0.1, "a", "b"), max_share(0.2, "b", "a")],
        "`max_share` is listed twice for `b`, `a`; keep the stricter",
    ),
    "twice the gap": ([{"max_completeness_gap": {"value": v}} for v in (1, 2)], "listed twice; keep the stricter"),
    "an important canary": ([CANARY, min_share(0.1, "noise", "a")], "`noise` is a canary.*`min_share` wants it"),
    "a canary at the top": ([CANARY, top(3, "noise")], "`noise` is a canary.*`top_k_includes` wants it"),
    "a canary above itself": ([{"canary": {"feature": "n", "players": ["n"]}}], "cannot matter more than itself"),
    "one that interacts with itself": ([{"max_interaction": {"players": ["a", "a"], "value": 0}}], "two different"),
    "slices without slices": ([{"max_slice_difference": {"value": 0.1}}], "list some in `slicing_specs`"),
}

POSSIBLE = {
    "everything used up": [min_share(0.6, "a"), min_share(0.4, "b")],
    "overlapping sets": [min_share(0.6, "a", "b"), min_share(0.6, "b", "c")],
    "exactly so much": [min_share(0.2, "a"), max_share(0.2, "a", "b")],
    "room for others": [TOP, min_share(0.6, "a", "b"), max_share(0.0, "c")],
    "tops within tops": [top(1, "a"), top(3, "a", "b", "c")],
    "other features": [monotonic("increasing"), monotonic("decreasing", "b"), sign("positive", "a")],
    "either curve": [monotonic("increasing"), monotonic("increasing", method="accumulated_local_effects")],
    "a limited canary": [CANARY, max_share(0.05, "noise"), min_share(0.1, "a")],
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_what_cannot_hold_together_is_refused_in_one_sentence(case):
    rules, message = CONTRADICTIONS[case]
    for order in (rules, rules[::-1]):
        with pytest.raises(ConfigError, match=message if order is rules else None) as caught:
            ValidationConfig(rules=order)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize("case", POSSIBLE)
def test_what_can_hold_together_is_not_refused(case):
    assert len(ValidationConfig(rules=POSSIBLE[case]).rules) == len(POSSIBLE[case])


def test_a_policy_of_slices_may_compare_them():
    specs = [{}, {"feature_keys": ["sex"]}]
    assert ValidationConfig(rules=[{"max_slice_difference": {"value": 0.1}}], slicing_specs=specs)


def test_long_policies_are_checked_too():
    """A thousand rules, of which none contradict, or two, or all together."""
    players = [f"f{i}" for i in range(1_000)]
    assert len(ValidationConfig(rules=[max_share(0.5, player) for player in players]).rules) == 1_000
    with pytest.raises(ConfigError, match=r"together: `max_share` of `f7`, `f8` 0.1, `min_share` of `f7` 0.2; relax"):
        ValidationConfig(
            rules=[max_share(0.5, p) for p in players] + [max_share(0.1, "f7", "f8"), min_share(0.2, "f7")]
        )
    with pytest.raises(ConfigError, match=r"cannot hold together: `min_share` of `f0` .* and 9.. more; relax one"):
        ValidationConfig(rules=[min_share(0.002, player) for player in players])


@given(
    st.lists(
        st.tuples(st.sampled_from(["max", "min"]), st.sets(st.sampled_from("abcd"), min_size=1), st.integers(0, 9))
    )
)
def test_a_policy_is_possible_where_shares_in_tenths_meet_it(drawn):
    """Shares in tenths are enumerated: what one of them meets is never refused."""
    rules, seen = [], set()
    for kind, players, tenths in drawn:
        if (kind, frozenset(players)) not in seen:
            seen.add((kind, frozenset(players)))
            rules.append((max_share if kind == "max" else min_share)(tenths / 10, *sorted(players)))
    shares = [s for s in itertools.product(range(11), repeat=4) if sum(s) <= 10]
    met = any(
        all(
            (total <= tenths if kind == "max" else total >= tenths)
            for kind, players, tenths in drawn
            for total in [sum(share["abcd".index(player)] for player in players)]
        )
        for share in shares
    )
    if rules and met:
        assert ValidationConfig(rules=rules)
