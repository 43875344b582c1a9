"""Coverage of importance and share intervals over estimators and budgets, with the noise of sampled coalitions.

    python benchmarks/coverage.py            some ten minutes on two cores
    python benchmarks/coverage.py --runs 4   quicker, rougher

Games are multilinear with main effects and products of two and three features of normal rows, so attributions are known
exactly. A run draws rows and coalitions anew, explains, and summarises as a job does; the truth is the mean
|attribution| of 200,000 other rows for the same background. `used` are players that the game has terms of, `ignored`
those that it has not: their true importance is 0, so an interval misses them only by a lower end above 0, and 97.5 % or
more are right. `biased` is what ignored players had, in design errors, if sizes were taken as they are, and `value`
what is reported. `exact` rows hold attributions without noise: what the spread over examples alone covers.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import Design, PooledRegression, Surrogate, fit_surrogate, make_design
from tfx_explain.methods.shapley.spreading import design_count
from tfx_explain.summary import ImportanceAccumulator, Noise

Array = npt.NDArray[np.float64]

N_TRUTH = 200_000


class Game:
    """A sum of products of features: main effects of the first `n_used` of d players and as many joint ones."""

    def __init__(self, d: int, n_used: int) -> None:
        rng = np.random.default_rng(d + n_used)
        members = [(j,) for j in range(n_used)]
        members += [tuple(rng.choice(n_used, size=rng.integers(2, 4), replace=False)) for _ in range(n_used)]
        self.d, self.n_used = d, n_used
        self.size = np.array([len(term) for term in members])
        # The last column is 1 in every row and stands for members that a term does not have.
        self.members = np.array([[*term, *[d] * (3 - len(term))] for term in members])
        self.weights = rng.normal(size=len(members))

    def _parts(self, rows: Array) -> Array:
        """(n, n_terms, 8): products of those members that the bits of the last index choose."""
        factors = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)[:, self.members]
        chosen = (np.arange(8)[:, None] >> np.arange(3)) & 1
        return np.where(chosen == 1, factors[:, :, None], 1.0).prod(axis=3)

    def __call__(self, rows: Array) -> Array:
        """(n,) outputs."""
        return self._parts(rows)[:, :, 7] @ self.weights

    def attributions(self, rows: Array, background: Array) -> Array:
        """(n, d) exact interventional Shapley values."""
        own, other = self._parts(rows), self._parts(background).mean(axis=0)
        phi = np.zeros((len(rows), self.d + 1))
        for term, (size, weight) in enumerate(zip(self.size.tolist(), self.weights, strict=True)):
            whole = 2**size - 1
            for i, n_before in itertools.product(range(size), range(size)):
                share = weight * math.factorial(n_before) * math.factorial(size - n_before - 1) / math.factorial(size)
                for before in itertools.combinations([j for j in range(size) if j != i], n_before):
                    without = sum(1 << j for j in before)
                    joined = without | 1 << i
                    gain = own[:, term, joined] * other[term, whole ^ joined]
                    gain -= own[:, term, without] * other[term, whole ^ without]
                    phi[:, self.members[term, i]] += share * gain
        return phi[:, :-1]

    def block_values(self, design: Design, rows: Array, background: Array) -> Array:
        """(n, n_blocks, n_coalitions, 1) values of a design."""
        own = (self._parts(rows) * self.weights[:, None]).reshape(len(rows), -1)
        other, terms = self._parts(background), np.arange(len(self.size))
        whole = 2**self.size - 1
        values = np.empty((len(rows), design.n_blocks, design.n_coalitions, 1))
        for g in range(design.n_blocks):
            present = np.concatenate([design.coalitions[g], np.zeros((design.n_coalitions, 1), bool)], axis=1)
            pattern = present[:, self.members] @ np.array([1, 2, 4])
            share = design.background_weight[g] / design.background_weight[g].sum()
            of_block = np.tensordot(share, other[design.background_index[g]], axes=1)
            mixed = np.zeros((design.n_coalitions, len(terms), 8))
            mixed[np.arange(design.n_coalitions)[:, None], terms, pattern] = of_block[terms, whole ^ pattern]
            values[:, g, :, 0] = own @ mixed.reshape(design.n_coalitions, -1).T
        return values


def with_surrogate(game: Game, background: Array, seed: int) -> tuple[Surrogate, Array, Array]:
    """A surrogate of the game, and what standardises features to codes."""
    centre, scale = background.mean(axis=0), background.std(axis=0)
    codes, base = (background - centre) / scale, game(background)[:, None]

    def evaluate(rows: npt.NDArray[np.int64], design: Design) -> Array:
        return game.block_values(design, background[rows], background)

    return fit_surrogate(np.arange(game.d), game.d, codes, base, evaluate, seed), centre, scale


def summarised(game: Game, rows: Array, background: Array, estimator: str, budget: int, seed: int) -> tuple:
    """The summary of the rows, spread over designs as a job does, and the mean |estimate| of each player."""
    accumulator = ImportanceAccumulator(game.d)
    n, weights, base = len(rows), np.full(len(background), 1 / len(background)), game(background)[:, None]
    if estimator == "exact":
        phi, nothing = game.attributions(rows, background), np.zeros((n, game.d))
        accumulator.add(phi, nothing, nothing, np.zeros(n), np.zeros(n))
        return accumulator.result(), np.abs(phi).mean(axis=0)
    surrogate = with_surrogate(game, background, seed) if estimator == "surrogate" else None

    def design_of(number: int) -> Design:
        how = {"n_players": game.d, "budget": budget, "background_weights": weights, "seed": seed}
        return make_design(estimator, **how, design_id=number)

    numbers = np.random.default_rng(seed).integers(0, design_count(design_of(0)), n)
    sizes = np.zeros(game.d)
    for number in np.unique(numbers).tolist():
        own, design = rows[numbers == number], design_of(number)
        values, outputs = game.block_values(design, own, background), game(own)[:, None]
        if surrogate is None:
            found = design.solve(values, outputs, base)
        else:
            fitted, centre, scale = surrogate
            found = PooledRegression(design, fitted, base).solve(values, outputs, (own - centre) / scale)
        # What is nothing but rounding has no effect, as in a job.
        phi, error = (
            np.where(np.abs(x[..., 0]) < 1e-12, 0.0, x[..., 0]) for x in (found.values, found.design_std_error)
        )
        none, zeros = np.zeros_like(phi), np.zeros(len(own))
        noise = Noise(error * found.noise_ratio, np.full(len(own), number))
        accumulator.add(phi, error, none, zeros, zeros, noise=noise)
        sizes += np.abs(phi).sum(axis=0) / n
    return accumulator.result(), sizes


def cases(n_rows: Sequence[int]) -> Iterator[tuple[Game, str, int, int, int]]:
    """Game, estimator, budget, background rows and rows explained."""
    dense, small, sparse = Game(20, 18), Game(12, 10), Game(60, 7)
    for n in n_rows:
        yield dense, "exact", 0, 128, n
        yield dense, "surrogate", 4, 128, n
        yield dense, "surrogate", 20, 128, n
        yield dense, "permutation", 38, 128, n
        yield dense, "permutation", 76, 128, n
        yield dense, "leverage", 80, 128, n
        yield small, "leverage", 48, 32, n
        yield small, "leverage", 96, 32, n
        yield sparse, "exact", 0, 32, n
        yield sparse, "surrogate", 16, 32, n
        yield sparse, "leverage", 240, 32, n


def main() -> None:
    """Prints one line per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 500])
    arguments = parser.parse_args()
    print(f"{'':34}{'importance':>16}{'share':>16}{'ignored players':>18}")
    names = ("d", "estimator", "budget", "rows", "used", "ignored", "used", "ignored", "biased", "value")
    print("".join(f"{name:>{width}}" for name, width in zip(names, (4, 12, 8, 10, 8, 8, 8, 8, 9, 9), strict=True)))
    pooled: dict[str, list[Array]] = {}
    for game, estimator, budget, n_background, n in cases(arguments.rows):
        background = np.random.default_rng(5).normal(size=(n_background, game.d))
        draw = np.random.default_rng(6)
        parts = [game.attributions(draw.normal(size=(20_000, game.d)), background) for _ in range(N_TRUTH // 20_000)]
        truth = np.mean([np.abs(part).mean(axis=0) for part in parts], axis=0)
        used, covered, shown = np.arange(game.d) < game.n_used, [], []
        for seed in range(arguments.runs):
            rows = np.random.default_rng(1_000 + seed).normal(size=(n, game.d))
            found, sizes = summarised(game, rows, background, estimator, budget, seed)
            share = truth / truth.sum()
            covered.append(
                [
                    (found.ci_low <= truth) & (truth <= found.ci_high),
                    (found.share_ci_low <= share) & (share <= found.share_ci_high),
                ]
            )
            with np.errstate(invalid="ignore"):
                shown.append(np.stack([sizes, found.mean_abs]) / found.mean_design_std_error)
        right, of_noise = np.array(covered), np.array(shown)[:, :, ~used]
        figures = [right[:, what][:, who].mean() for what in (0, 1) for who in (used, ~used)]
        pooled.setdefault(estimator, []).append(right[:, :, used].mean(axis=(0, 2)))
        noise = "".join(f"{x:9.2f}" for x in of_noise.mean(axis=(0, 2)))
        print(
            f"{game.d:>4}{estimator:>12}{budget:>8}{n:>10}{''.join(f'{figure:8.3f}' for figure in figures)}{noise}",
            flush=True,
        )
    for estimator, found in pooled.items():
        importance, share = np.mean(found, axis=0)
        print(f"{estimator:>16}, used players: importance {importance:.3f}, share {share:.3f}")


if __name__ == "__main__":
    main()
