"""Curves of games whose areas are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.config import ExplainConfig
from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.errors import ModelCallError
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.faithfulness import curves
from tfx_explain.methods.faithfulness.explainer import FaithfulnessExplainer
from tfx_explain.methods.faithfulness.rows import CheckedRows

Array = npt.NDArray[np.float64]


@dataclasses.dataclass
class Additive:
    """f = sum over the parts that are left of their effects, plus what each reference adds."""

    effects: Array
    attributions: Array
    sizes: Array
    offsets: Array

    @property
    def n_references(self) -> int:
        return len(self.offsets)

    def values(self, rows: Array, kept: Array, references: Array) -> Array:
        left = np.einsum("mu,muc->mc", kept, self.effects[rows])
        return np.asarray(left + self.offsets[references][:, None])


def game(n: int, n_parts: int, seed: int, n_outputs: int = 2, n_references: int = 3) -> Additive:
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(n, n_parts, n_outputs))
    return Additive(effects, effects.copy(), np.ones((n, n_parts)), rng.normal(size=n_references))


def checked(removal: Additive, **settings: object) -> CheckedRows:
    n, _, n_outputs = removal.attributions.shape
    config = FaithfulnessConfig(num_steps=removal.sizes.shape[1], **settings)
    into = CheckedRows.empty(n, config.num_steps, n_outputs, 0)
    curves.check_rows(
        removal, [removal.attributions], np.arange(n), np.arange(n, dtype=np.uint64) * 7, config, 0, [into]
    )
    return into


def test_areas_of_additive_games_are_those_of_sorted_sums() -> None:
    removal = game(5, 6, 0)
    found = checked(removal)
    for row in range(5):
        for output in range(2):
            largest_first = np.sort(removal.effects[row, :, output])[::-1]
            put_back = np.concatenate([[0.0], np.cumsum(largest_first)]) + removal.offsets.mean()
            left = put_back[-1] + removal.offsets.mean() - put_back
            x = np.arange(7) / 6
            area = np.sum(np.diff(x) * (put_back[1:] + put_back[:-1]) / 2)
            np.testing.assert_allclose(found.areas[row, 1, output], area)
            np.testing.assert_allclose(found.curves[row, 0, :, output], left, atol=1e-12)
            np.testing.assert_allclose(found.ends[row, :, output], [left[0], left[-1]], atol=1e-12)


def test_mu_fidelity_of_exact_attributions_is_1() -> None:
    removal = game(4, 10, 1, n_references=1)
    np.testing.assert_allclose(checked(removal).mu_fidelity, 1.0, atol=1e-12)
    opposite = dataclasses.replace(removal, attributions=-removal.effects)
    np.testing.assert_allclose(checked(opposite).mu_fidelity, -1.0, atol=1e-12)


def test_random_orders_go_along_the_straight_line_on_average() -> None:
    removal = game(400, 5, 2)
    found = checked(removal, num_random=6)
    middle = found.ends.mean(axis=1)
    off = (found.areas[:, 2] - middle)[:, 0]
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))


def test_attributions_that_say_nothing_are_no_better_than_chance() -> None:
    removal = game(400, 5, 3, n_outputs=1)
    blind = dataclasses.replace(removal, attributions=np.random.default_rng(9).normal(size=removal.effects.shape))
    deleted, inserted, random = checked(blind).areas[..., 0].T
    gains = np.stack([random - deleted, inserted - random])
    assert (np.abs(gains.mean(axis=1)) < 4 * gains.std(axis=1) / np.sqrt(400)).all()
    told = checked(removal).areas[..., 0]
    assert (told[:, 2] - told[:, 0] > 0).mean() > 0.95


def test_rows_of_one_part_are_left_out_and_narrow_rows_are_whole() -> None:
    removal = game(3, 4, 4, n_outputs=1)
    removal.sizes[0, 1:] = 0.0
    removal.sizes[1, 2:] = 0.0
    removal.effects[1, 2:] = removal.attributions[1, 2:] = 0.0
    found = checked(removal)
    assert np.isnan(found.areas[0]).all()
    np.testing.assert_allclose(found.ends[1, 0, 0], removal.effects[1, :2].sum() + removal.offsets.mean())
    assert np.isnan(found.mu_fidelity[1]).all()  # of two parts
    assert np.isfinite(found.mu_fidelity[2]).all()


def test_larger_parts_are_worth_less_per_size() -> None:
    removal = game(1, 3, 5, n_outputs=1, n_references=1)
    removal.effects[0, :, 0] = removal.attributions[0, :, 0] = [6.0, 5.0, 0.0]
    removal.sizes[0] = [10.0, 1.0, 1.0]
    removal.offsets[:] = 0.0
    put_back = checked(removal).curves[0, 1, :, 0]
    # 5 per pixel comes before 0.6 per pixel: at a third of the 12 pixels, 1 pixel of 5 and then on the way to all.
    assert put_back[1] > 5.0


def test_rows_that_the_model_refuses_without_a_part_are_left_out() -> None:
    removal = game(6, 4, 6, n_outputs=1)

    @dataclasses.dataclass
    class Refusing(Additive):
        """Fails where the first part of row 2 is gone."""

        def values(self, rows: Array, kept: Array, references: Array) -> Array:
            if ((rows == 2) & ~kept[:, 0].astype(bool)).any():
                raise ModelCallError("the model needs the first part")
            return super().values(rows, kept, references)

    config = ExplainConfig(methods=["shapley", {"faithfulness": {"num_steps": 4}}])
    explainer = FaithfulnessExplainer([None], JobContext(config, {}), [])
    into = CheckedRows.empty(6, 4, 1, 0)
    draws = np.arange(6, dtype=np.uint64)
    n = explainer._check(Refusing(**vars(removal)), [removal.attributions], np.arange(6), draws, [into])
    assert np.isnan(into.areas[2]).all()
    assert np.isfinite(np.delete(into.areas, 2, axis=0)).all()
    alone = CheckedRows.empty(6, 4, 1, 0)
    said = [removal.attributions]
    assert n == curves.check_rows(removal, said, np.arange(5), draws, explainer._settings, 0, [alone])


def test_attributions_that_are_all_alike_are_no_better_than_chance() -> None:
    removal = game(300, 4, 7, n_outputs=1)
    removal.effects[:] = [[1.0], [0.0], [0.0], [0.0]]
    removal.attributions[:] = 0.0
    deleted, inserted, random = checked(removal).areas[..., 0].T
    for gain in (random - deleted, inserted - random):
        assert abs(gain.mean()) < 4 * gain.std() / np.sqrt(300)


def test_several_methods_share_the_random_orders_and_are_what_they_are_alone() -> None:
    removal = game(5, 6, 8)
    others = np.random.default_rng(3).normal(size=removal.effects.shape)
    config, rows, hashes = FaithfulnessConfig(num_steps=6), np.arange(5), np.arange(5, dtype=np.uint64) * 7
    together = [CheckedRows.empty(5, 6, 2, 0) for _ in range(2)]
    n = curves.check_rows(removal, [removal.attributions, others], rows, hashes, config, 0, together)
    alone = checked(removal), checked(dataclasses.replace(removal, attributions=others))
    for found, expected in zip(together, alone, strict=True):
        for name in ("curves", "areas", "ends", "mu_fidelity"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)
    # Per row and method 7 points of two curves for two outputs and three references; 20 orders of 7 points and 5 parts.
    assert n == 5 * (2 * 7 * 2 * 2 * 3 + 20 * 7 + 20 * 5)
