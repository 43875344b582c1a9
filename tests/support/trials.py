"""How often something goes wrong at random, found in no more trials than that takes."""

import math
from collections import Counter
from collections.abc import Iterable

from scipy import special

ALPHA = 0.05
"""How often bounds of 95 % may be wrong."""

_LOOK_EVERY = 50
_MISSED = 1e-5


def often(runs: int, alpha: float = ALPHA) -> float:
    """More mistakes in so many trials do not happen to what keeps its word: three standard errors above it."""
    return runs * alpha + 3 * math.sqrt(runs * alpha * (1 - alpha))


def seldom_wrong(
    trials: Iterable[tuple[str, ...]],
    *wrong: str,
    runs: int = 2000,
    alpha: float = ALPHA,
    seen: str | None = None,
) -> Counter[str]:
    """Asserts that no mistake is made more often than it may be.

    In all trials a mistake that is made at the rate of the limit is found in half of all cases. No further trials are
    needed where one of that rate would have been seen so seldom in fewer than 1 of 100,000 cases: with at most 40 looks
    that misses at most 1 of 2,500 mistakes that all trials would find.

    Args:
      trials: what is true of each.
      wrong: what is a mistake.
      runs: trials of a mistake that is made nearly as often as it may be.
      alpha: how often that is.
      seen: what has to happen at least once.

    Returns:
      How often what was true.
    """
    limit, found, n = often(runs, alpha) / runs, Counter[str](), 0
    for n, true in enumerate(trials, start=1):
        found.update(true)
        if n == runs or (n % _LOOK_EVERY == 0 and (seen is None or found[seen]) and _is_below(found, wrong, n, limit)):
            break
    assert all(found[mistake] <= often(n, alpha) for mistake in wrong), (n, found)
    assert seen is None or found[seen], (n, found)
    return found


def _is_below(found: Counter[str], wrong: Iterable[str], n: int, limit: float) -> bool:
    """Whether what is wrong so often would hardly have been seen so seldom in n trials."""
    return all(special.bdtr(found[mistake], n, limit) < _MISSED for mistake in wrong)
