"""Functions that are known, along paths: what integrals along these are tried on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tfx_explain.paths import N_BLOCKS, OF_DIFFERENCE, Accuracy, Integrals, Refined, Rule, Steps, Swept

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Known:
    """A function of points (..., d) with its gradients (..., d, c), along straight lines."""

    def __init__(
        self, f: Callable[[FloatArray], FloatArray], gradient: Callable[[FloatArray], FloatArray], starts, ends
    ):
        self.f, self.gradient, self.starts, self.ends = f, gradient, starts, ends
        self.n_players = starts.shape[1]
        self.n_steps = np.zeros(len(starts), np.int64)
        self.n_values = np.zeros(len(starts), np.int64)

    def _points(self, paths: IntArray, alphas: FloatArray) -> FloatArray:
        return self.starts[paths][:, None] + alphas[:, :, None] * (self.ends - self.starts)[paths][:, None]

    def refine(self, paths: IntArray, low: FloatArray, high: FloatArray, rule: Rule) -> Refined:
        width = (high - low)[:, None]
        gradients = self.along(paths, low[:, None] + width * rule.nodes) * width[:, :, None, None]
        np.add.at(self.n_values, paths, len(rule.edges))
        outputs = self.f(self._points(paths, low[:, None] + width * rule.edges))
        whole = np.einsum("m,qmdc->qdc", rule.weights_of_whole, gradients[:, : rule.n_whole])
        shape = (len(paths), rule.n_pieces, rule.n_nodes, *gradients.shape[2:])
        of_nodes = gradients[:, rule.n_whole :].reshape(shape) * rule.weights[:, None, None]
        halves = [half.sum(axis=2) for half in np.array_split(of_nodes, 2, axis=2)]
        return Refined(outputs, whole, sum(halves), np.square(halves[1] - halves[0]))

    def along(self, paths: IntArray, alphas: FloatArray) -> FloatArray:
        """(q, m, d, c) what each player changes per unit of alpha, at points alphas (q, m)."""
        np.add.at(self.n_steps, paths, alphas.shape[1])
        return self.gradient(self._points(paths, alphas)) * (self.ends - self.starts)[paths][:, None, :, None]


class SweptKnown(Known):
    """The same, swept as well."""

    def first_sweep(self, paths: IntArray, steps: Steps) -> Swept:
        np.add.at(self.n_values, paths, 2)
        outputs = self.f(self._points(paths, np.tile([0.0, 1.0], (len(paths), 1))))
        oldest, older, new = (self._sums(paths, group) for group in steps.groups)
        coarse = 3 * (older * 3 / 8 + oldest / 4) / (steps.n / 3)
        fine = 3 * (new * 3 / 8 + (oldest + older) / 4) / steps.n
        variance = OF_DIFFERENCE * (fine - coarse) ** 2
        of_blocks = variance[:, :, : self.n_players].sum(axis=2)
        return Swept(outputs, fine.sum(axis=1), variance.sum(axis=1), of_blocks, oldest + older + new, fine)

    def sweep(self, paths: IntArray, steps: Steps) -> FloatArray:
        (new,) = steps.groups
        return self._sums(paths, new)

    def part(self, paths: IntArray) -> PartOfKnown:
        return PartOfKnown(self, paths)

    def _sums(self, paths: IntArray, alphas: FloatArray) -> FloatArray:
        made = self.along(paths, np.tile(alphas.reshape(1, -1), (len(paths), 1)))
        return made.reshape(len(paths), N_BLOCKS, -1, *made.shape[2:]).sum(axis=2)


class PartOfKnown:
    """Some of its paths."""

    def __init__(self, whole: SweptKnown, paths: IntArray) -> None:
        self.n_players, self.refine = whole.n_players, lambda some, *rest: whole.refine(paths[some], *rest)


def rectifier(kinks, slopes):
    """Sum over players of slope x max(z - kink, 0)."""
    return (
        lambda z: (slopes * np.maximum(z - kinks, 0)).sum(axis=-1, keepdims=True),
        lambda z: (slopes * (z > kinks))[..., None],
    )


def accuracy(function: Known, max_gap: float = 0.01, max_steps: int = 512, floor: float = 1e-12) -> Accuracy:
    at_end = function.f(function.ends)
    return Accuracy(max_gap, max_steps, 1 + np.abs(at_end), np.full_like(at_end, floor))


def gaps(function: Known, found: Integrals) -> FloatArray:
    return found.contributions.sum(axis=1) - (function.f(function.ends) - function.f(function.starts))


def network(n_paths: int, seed: int, squash: Callable[[FloatArray], FloatArray], slope) -> Known:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(6, 32)) / 2, rng.normal(size=(32, 2)) / 3
    starts, ends = rng.normal(size=(2, n_paths, 6))
    return Known(
        lambda z: squash(z @ first) @ second,
        lambda z: np.einsum("dh,...h,hc->...dc", first, slope(z @ first), second),
        starts,
        ends,
    )


def exact(function: Known, n: int = 20_000) -> FloatArray:
    """By the midpoint rule of very many steps, one path at a time."""
    alphas = (np.arange(n)[None] + 0.5) / n
    return np.concatenate([function.along(np.array([p]), alphas).mean(axis=1) for p in range(len(function.starts))])
