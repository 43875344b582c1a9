"""Designs are made once, whoever asks for them."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tfx_explain.config import ExplainConfig
from tfx_explain.methods.shapley import designs
from tfx_explain.methods.shapley.designs import shapley_design

WEIGHTS = np.full(20, 1 / 20)


@pytest.fixture
def made(monkeypatch):
    """How many were made, none of which is left from before."""
    numbers = []

    def make(*args, **kwargs):
        numbers.append(kwargs["design_id"])
        return real(*args, **kwargs)

    real = designs.make_design
    monkeypatch.setattr(designs, "make_design", make)
    monkeypatch.setattr(designs, "_MADE", type(designs._MADE)())
    designs._FIRST.clear()
    return numbers


def config(**given):
    return ExplainConfig(methods=[{"shapley": {"estimator": "leverage", "budget": 80}}], **given)


def test_the_first_is_kept_though_nobody_uses_it(made):
    shapley_design(config(), 12, WEIGHTS)
    gc.collect()
    shapley_design(config(), 12, WEIGHTS.copy())
    assert made == [0]


def test_others_are_shared_while_somebody_uses_them(made):
    held = shapley_design(config(), 12, WEIGHTS, design_id=3)
    assert shapley_design(config(), 12, WEIGHTS, design_id=3) is held
    del held
    gc.collect()
    shapley_design(config(), 12, WEIGHTS, design_id=3)
    assert made == [3, 3]


def test_whatever_a_design_depends_on_makes_another(made):
    first = shapley_design(config(), 12, WEIGHTS)
    uneven = WEIGHTS * np.linspace(0.5, 1.5, 20)
    others = [
        shapley_design(config(seed=1), 12, WEIGHTS),
        shapley_design(config(), 13, WEIGHTS),
        shapley_design(config(), 12, uneven),
        shapley_design(config(), 12, WEIGHTS, budget=160),
        shapley_design(config(), 12, WEIGHTS, design_id=1),
    ]
    assert len({id(design) for design in (first, *others)}) == 6
    assert made == [0, 0, 0, 0, 0, 1]
