"""Faithfulness against other outputs and against boxes, in whole jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import accessibility
import pictures
import tfx_explain
import worlds
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 24
SQUARES = tuple((slice(3 * k, 3 * k + 3), slice(3, 9)) for k in range(3))
"""What each output looks at."""
SPEC = {"image": pictures.SPEC["image"]}
RULE = {"max_randomisation_similarity": {"value": 0.3, "measure": "random_logit"}}
POINTING = {"min_pointing_accuracy": {"value": 0.25}}


def own_squares(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    seen = tf.square(pictures.decoded(parsed["image"])[..., 0])
    return 4.0 * tf.stack([tf.reduce_mean(seen[:, rows, columns], [1, 2]) for rows, columns in SQUARES], axis=1)


def one_square(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    return own_squares(parsed)[:, :1] * tf.constant([[1.0, 2.0, 3.0]])


def rows_with_boxes(n: int, seed: int) -> list[dict[str, Any]]:
    """The box of the square that is brightest; none in every sixth row, and pixels in place of parts in the last."""
    made = []
    for i, pixels in enumerate(pictures.pixels_of(n, seed)):
        seen = np.square(pixels[..., 0] / 255.0)
        rows, columns = SQUARES[int(np.argmax([seen[square].mean() for square in SQUARES]))]
        box = np.array([rows.start, columns.start, rows.stop, columns.stop]) / pictures.SIZE
        made.append({"image": pictures.png(pixels), "box": [] if i % 6 == 0 else box.tolist()})
    if seed:
        made[-1]["box"] = [0.0, 3.0, 3.0, 9.0]
    return made


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("examples"), rows_with_boxes, 16, N, 3)


def explained(where: Path, score: Any, examples: str, classes: Any, **settings: Any) -> ExplanationReader:
    checked = {"random_logit": True, "mu_fidelity": False, "num_random": 2, "num_steps": 2, **settings}
    config = {
        "methods": [{"xrai": {"feature": "image", "num_steps": 16}}, {"faithfulness": checked}],
        "model": {"output_space": "raw", "classes": classes},
        "background": {"num_rows": 8},
        "max_failed_fraction": 0.1,
    }
    model = worlds.save_serving_model(where / "model", score, SPEC)
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(where / "out"), config=config)


def outcome(explanation: ExplanationReader, rule: dict[str, Any] = RULE) -> str:
    policy = ValidationConfig(rules=[rule], min_slice_examples=5)
    (finding,) = [one for one in judge(explanation, policy).findings if one.output == explanation.outputs[0]]
    return finding.outcome


def test_outputs_that_look_elsewhere_have_other_maps_that_point_into_boxes(tmp_path: Path, examples: str) -> None:
    made = explained(tmp_path, own_squares, examples, "predicted", boxes="box")
    table = made.faithfulness.set_index("measure")
    assert table.loc["random_logit", "num_examples"] == N - 1
    assert outcome(made) == "pass"
    game = table.loc["pointing_game"]
    n_boxes = N - 1 - N // 6
    assert (game["num_examples"], game["num_left_out"]) == (n_boxes, N // 6)
    assert game["chance"] == pytest.approx(18 / 144)
    assert game["ci_low"] > game["chance"]
    assert round(game["value"] * n_boxes, 9) == round(game["value"] * n_boxes)
    assert table.drop("pointing_game")["chance"].isna().all()
    assert outcome(made, POINTING) == "pass"
    letters = made.dead_letters()
    assert len(letters) == 1
    assert "`box` holds no boxes: four numbers each" in letters["reason"].iloc[0]
    page = Path(made.uri, "report.html").read_text()
    assert accessibility.faults(page) == []
    assert "Like another output" in page
    assert "by area 12" in page


def test_outputs_with_one_map_are_told(tmp_path: Path, examples: str) -> None:
    """All outputs are explained, so that the maps of others are there already."""
    made = explained(tmp_path, one_square, examples, None)
    found = made.faithfulness
    found = found[found["measure"] == "random_logit"]
    assert len(found) == 3
    np.testing.assert_allclose(found["value"], 1.0, atol=1e-5)
    assert made.manifest["counts"]["eval"]["faithfulness_other_outputs_model_rows"] == 0
    assert outcome(made) == "fail"
    with pytest.raises(ConfigError, match="needs `boxes` of `faithfulness`, which the explanation was made without"):
        outcome(made, POINTING)


@pytest.mark.parametrize(
    ("classes", "settings", "sentence"),
    [
        ([1], {}, "compares with attributions of another output, but a single one is explained"),
        (None, {"boxes": "bos"}, "names `bos`, which the examples do not have"),
        (None, {"boxes": "image"}, "`image` holds no boxes"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, examples: str, classes: Any, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        explained(tmp_path, own_squares, examples, classes, **settings)
