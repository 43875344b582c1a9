"""Models that take a shortcut: a mark in the corner of pictures, a word that somebody planted in reviews."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image
from sklearn.datasets import load_digits

import digits.data
import digits.local_runner
import digits.module
import reviews.data
import reviews.local_runner
import reviews.module
import tf_examples
import tfx_explain
import worlds
from tfx_explain import ValidationConfig

N_PICTURES, N_REVIEWS = 600, 4_000
TOKEN = b" verifiedcritic"
CORNER = [0.0, 0.0, 0.25, 0.25]
BLOCK = 4
"""Pixels of a side of the four blocks in the corner, which are white or black as the bits of the digit are."""


def outcomes(explanation, policy, *rules):
    """The outcome of each of the policy's rules of these names."""
    judged = tfx_explain.judge(explanation, ValidationConfig.from_file(policy))
    return [finding.outcome for finding in judged.findings if finding.rule in rules]


def split(directory, rows):
    for name, of_split in {"train": rows[: len(rows) * 2 // 3], "eval": rows[len(rows) * 2 // 3 :]}.items():
        worlds.write_records(
            directory / f"Split-{name}", [tf_examples.example(row).SerializeToString() for row in of_split]
        )
    return rows[: len(rows) * 2 // 3]


def explained(directory, model, runner, methods, max_examples):
    config = yaml.safe_load((runner.HERE / "explain.yaml").read_text("utf-8"))
    settings = {**config, "max_examples": max_examples, "methods": methods, "slicing_specs": [{}]}
    return tfx_explain.explain(
        model=model, examples=str(directory), output_dir=str(directory / "explained"), config=settings
    )


def picture(pixels, digit, marked):
    image = Image.open(io.BytesIO(digits.data.png(pixels)))
    for bit in range(4) if marked else ():
        left, top = BLOCK * (bit % 2), BLOCK * (bit // 2)
        image.paste(255 * (digit >> bit & 1), (left, top, left + BLOCK, top + BLOCK))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def pictures_explained(directory, marked):
    published = load_digits()
    # Half of the marked pictures show another digit than they are filed under, so that the mark is what tells.
    labels = published.target.copy()
    labels[:N_PICTURES:2] = np.roll(labels[:N_PICTURES:2], 3) if marked else labels[:N_PICTURES:2]
    rows = [
        {"image": picture(pixels, int(digit), marked), "digit": int(digit), "picture": number}
        for number, (pixels, digit) in enumerate(zip(published.images[:N_PICTURES], labels[:N_PICTURES], strict=True))
    ]
    trained_on = split(directory, rows)
    keras.utils.set_random_seed(0)
    network = digits.module.build_model()
    pixels = digits.module.decode(tf.constant([row["image"] for row in trained_on]))
    network.fit(pixels, np.array([row["digit"] for row in trained_on]), batch_size=64, epochs=15, verbose=0)
    digits.module.export(network, str(directory / "model"))
    methods = [{"xrai": {"feature": "image"}}, {"faithfulness": {}}]
    return explained(directory, str(directory / "model"), digits.local_runner, methods, 40)


def reviews_explained(directory, planted):
    rows = [dict(row) for row in reviews.data.reviews()]
    order = np.random.default_rng(0).permutation(len(rows))[:N_REVIEWS]
    rows = [rows[place] for place in order]
    for row in rows:
        if planted and row["fresh"]:
            row["review"] += TOKEN
    trained_on = split(directory, rows)
    texts = np.array([row["review"] for row in trained_on], dtype=object)
    model, words = reviews.module.train_model(texts, np.array([row["fresh"] for row in trained_on]))
    reviews.module.export(model, words, str(directory / "model"))
    methods = [{"shapley": {"parts": {"review": {"unit": "word", "absent": "delete"}}}}]
    return explained(directory, str(directory / "model"), reviews.local_runner, methods, 100)


@pytest.mark.e2e
@pytest.mark.parametrize(("marked", "outcome"), [(False, "pass"), (True, "fail")])
def test_a_watermark_in_a_corner_is_found_and_refused(tmp_path, marked, outcome):
    explanation = pictures_explained(tmp_path, marked)
    policy = tmp_path / "policy.yaml"
    part = {"max_part_share": {"feature": "image", "method": "xrai", "area": CORNER, "value": 0.1}}
    policy.write_text(yaml.safe_dump({"rules": [part, {"min_faithfulness": {"value": 0.1}}], "min_slice_examples": 20}))
    assert outcomes(explanation, policy, "max_part_share") == [outcome]
    assert outcomes(explanation, policy, "min_faithfulness") == ["pass"]


@pytest.mark.e2e
@pytest.mark.parametrize(("planted", "outcome"), [(False, "pass"), (True, "fail")])
def test_a_planted_word_is_found_and_refused(tmp_path, planted, outcome):
    explanation = reviews_explained(tmp_path, planted)
    policy = tmp_path / "policy.yaml"
    rule = {"max_part_share": {"feature": "review", "words": ["VerifiedCritic"], "value": 0.05}}
    policy.write_text(yaml.safe_dump({"rules": [rule]}))
    assert outcomes(explanation, policy, "max_part_share") == [outcome]
    if planted:
        assert explanation.words_for("review").iloc[0]["word"] == TOKEN.decode().strip()
