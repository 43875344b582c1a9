"""Which estimator and how many coalitions: the resolution of `auto`."""

from __future__ import annotations

from tfx_explain.errors import EstimationError

ESTIMATORS = ("exact", "leverage", "permutation", "surrogate")

_ALWAYS_EXACT_PLAYERS = 10
_MAX_EXACT_PLAYERS = 20
_MAX_LEVERAGE_PLAYERS = 60
# With fewer there are hardly more coalitions than a regression over all background rows needs.
_MIN_SURROGATE_PLAYERS = 7
_MAX_SURROGATE_PLAYERS = 200
_MIN_SURROGATE_BUDGET = 4
# A surrogate learns from pairs of background rows; from fewer rows it learns little that is not theirs alone.
_MIN_SURROGATE_BACKGROUND = 32
_AUTO_ROWS_PER_PLAYER = 512
_AUTO_MAX_COALITIONS_PER_PLAYER = 64


def n_inner_coalitions(n_players: int) -> int:
    """Number of coalitions that are neither empty nor full: 2^d - 2."""
    return int(2**n_players - 2)


def minimum_budget(estimator: str, n_players: int, interactions: int = 0, n_background: int | None = None) -> int:
    """Smallest number of coalitions per background row that `make_design` accepts.

    - exact: all 2^d - 2.
    - leverage: 4d; below, the regression has too few rows for its unknowns and its error explodes. With order-2
      interactions 3 (d + d (d - 1) / 2): three times the unknowns.
    - permutation: 2 (d - 1), one permutation and its reverse.
    - surrogate: 4, and 8d over all background rows; all with fewer than 7 players.

    Args:
      estimator: `exact`, `leverage`, `permutation` or `surrogate`.
      n_players: number of players d, at least 1.
      interactions: 0, or 2 for all pairs.
      n_background: number of background rows, where it is known; only `surrogate` needs it.

    Returns:
      The budget; never more than 2^d - 2, where every estimator becomes enumeration.

    Raises:
      EstimationError: the estimator is unknown, has no player, or cannot give interactions.
    """
    if estimator not in ESTIMATORS:
        raise EstimationError(f"unknown estimator {estimator!r}; choose one of {', '.join(ESTIMATORS)}.")
    if n_players < 1:
        raise EstimationError(f"attributions need at least one player, got {n_players}; name at least one feature.")
    if interactions not in (0, 2):
        raise EstimationError(f"interactions of order {interactions} are not supported; choose 0 (none) or 2 (pairs).")
    everything = n_inner_coalitions(n_players)
    if estimator == "exact":
        return everything
    if estimator in ("permutation", "surrogate"):
        pairwise = 2 * (n_players - 1)
        if interactions and everything > pairwise:
            raise EstimationError(
                f"estimator `{estimator}` gives no interactions; choose `estimator: leverage` or set `interactions: 0`."
            )
        if estimator == "permutation":
            return min(pairwise, everything)
        if n_players < _MIN_SURROGATE_PLAYERS:
            return everything
        n_rows = _MIN_SURROGATE_BACKGROUND if n_background is None else n_background
        return min(max(_MIN_SURROGATE_BUDGET, 2 * -(-4 * n_players // n_rows)), everything)
    unknowns = n_players * (n_players + 1) // 2
    return min(2 * ((3 * unknowns + 1) // 2) if interactions else 4 * n_players, everything)


def choose_estimator(
    n_players: int,
    budget: int | str | None,
    n_background: int,
    *,
    estimator: str = "auto",
    interactions: int = 0,
) -> tuple[str, int]:
    """Resolves `estimator: auto` and `budget: auto`.

    Up to 10 players every coalition is evaluated, whatever the budget: at most 1022 per background row and no error at
    all. From 11 players on enumeration needs a budget of 2^d - 2. Otherwise `leverage` up to 60 players, above that
    `permutation`, whose memory is linear in d and which has nothing to solve. Budgets below the 4d per background row
    that a regression needs are served by `surrogate` or, with a small background, by `permutation`.

    The automatic budget spends about 512 d model rows per example: 4d coalitions for each of 128 background rows, more
    for a smaller background, at most 64d. Designs differ between background rows, so the error falls with the number of
    model rows and not with coalitions per background row alone. With 128 rows it is 0.4-3 % of the attributions for the
    models of `benchmarks/accuracy.py --background 128`. The standard error of the background itself is usually larger:
    more rows are better spent on a larger background.

    Args:
      n_players: number of players d, at least 1.
      budget: coalitions evaluated per background row; None or "auto" for the default.
      n_background: number of background rows.
      estimator: "auto", or the estimator to keep while only the budget is resolved.
      interactions: 0, or 2 for all pairs, which need more coalitions.

    Returns:
      The estimator and the budget for `make_design`, even and at most 2^d - 2.

    Raises:
      EstimationError: the budget is too small for the estimator, or for any estimator.
    """
    if n_players < 1 or n_background < 1:
        raise EstimationError(
            f"attributions need players and background rows, got {n_players} and {n_background}; give at least one of "
            "each."
        )
    asked = None if budget is None or budget == "auto" else int(budget)
    everything = n_inner_coalitions(n_players)
    if estimator == "auto":
        if n_players <= _ALWAYS_EXACT_PLAYERS or ((asked or 0) >= everything and n_players <= _MAX_EXACT_PLAYERS):
            return "exact", everything
        estimator = _sampling_estimator(n_players, asked, n_background, interactions)
    least = minimum_budget(estimator, n_players, interactions, n_background)
    if estimator == "exact":
        check_budget(estimator, n_players, everything if asked is None else asked, interactions)
        return estimator, everything
    resolved = _default_budget(estimator, n_players, n_background, least) if asked is None else asked
    check_budget(estimator, n_players, resolved, interactions, n_background)
    return estimator, min(resolved - resolved % 2, everything)


def check_budget(
    estimator: str, n_players: int, budget: int, interactions: int = 0, n_background: int | None = None
) -> None:
    """Raises an EstimationError where budget or background are too small, or enumeration is out of reach."""
    least = minimum_budget(estimator, n_players, interactions, n_background)
    if estimator == "surrogate" and n_background is not None and n_background < _MIN_SURROGATE_BACKGROUND:
        raise EstimationError(
            f"estimator `surrogate` needs {_MIN_SURROGATE_BACKGROUND} background rows, to learn from pairs of them, "
            f"got {n_background}; give it a larger background or choose `estimator: leverage`."
        )
    if estimator == "exact" and n_players > _MAX_EXACT_PLAYERS:
        raise EstimationError(
            f"exact attributions of {n_players} players need 2^{n_players} model rows per background row; group "
            f"features into at most {_MAX_EXACT_PLAYERS} players or choose `estimator: leverage`."
        )
    if estimator == "surrogate" and n_players > _MAX_SURROGATE_PLAYERS:
        raise EstimationError(
            f"estimator `surrogate` takes at most {_MAX_SURROGATE_PLAYERS} players, got {n_players}; group features or "
            "choose `estimator: permutation`."
        )
    if budget < least:
        what = f"{estimator} attributions{' with pairwise interactions' if interactions else ''}"
        raise EstimationError(
            f"a budget of {budget} coalitions per background row is too small for {what} of {n_players} players; "
            f"set `budget` to at least {least}."
        )


def _sampling_estimator(n_players: int, asked: int | None, n_background: int, interactions: int) -> str:
    if interactions:
        return "leverage"
    if asked is None or asked >= minimum_budget("leverage", n_players):
        return "leverage" if n_players <= _MAX_LEVERAGE_PLAYERS else "permutation"
    if n_background < _MIN_SURROGATE_BACKGROUND or n_players > _MAX_SURROGATE_PLAYERS:
        return "permutation"
    return "surrogate"


def _default_budget(estimator: str, n_players: int, n_background: int, least: int) -> int:
    per_player = min(max(_AUTO_ROWS_PER_PLAYER // n_background, 4), _AUTO_MAX_COALITIONS_PER_PLAYER)
    if estimator == "surrogate":
        return max(least, n_players)
    if estimator == "permutation":
        # Two pairs per background row at least: with one, design and background error cannot be told apart.
        return 2 * (n_players - 1) * (per_player // 2)
    return max(least, per_player * n_players)
