"""XRAI in whole jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pictures
import tfx_explain
import worlds
from tfx_explain.reader import ExplanationReader

N = 24
CONFIG = {"methods": [{"xrai": {"feature": "image"}}], "model": {"output_space": "raw"}, "background": {"num_rows": 8}}


def explained(where: Path, model: str, examples: str, config: Any = None) -> ExplanationReader:
    made = tfx_explain.explain(model=model, examples=examples, output_dir=str(where), config=config or CONFIG)
    return made if isinstance(made, ExplanationReader) else tfx_explain.load(str(where))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), pictures.make_rows, 32, N, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pictures.save(tmp_path_factory.mktemp("model"), pictures.with_age)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory, model: str, examples: str) -> ExplanationReader:
    return explained(tmp_path_factory.mktemp("explained") / "out", model, examples)


def test_regions_add_up_to_the_image(explanation: ExplanationReader) -> None:
    rows = explanation.attributions().set_index("example_id")
    parts = explanation.parts("image")
    assert explanation.manifest["parts"]["xrai"]["image"]["columns"] == ["pixels"]
    assert len(rows) == N
    sums = parts.groupby("example_id")["attribution"].sum()
    np.testing.assert_allclose(sums, rows["attribution_image"].loc[sums.index], rtol=1e-6, atol=1e-6)
    assert (parts.groupby("example_id")["pixels"].sum() == pictures.SIZE**2).all()
    total = rows["base_value"] + rows["attribution_image"] + rows["attribution_age"]
    assert (np.abs(total - rows["prediction"]) <= 0.01 * (1 + np.abs(rows["prediction"]))).all()
