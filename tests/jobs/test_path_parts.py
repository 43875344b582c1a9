"""Integrated gradients of the words of a text through the whole job: records, words, checks, rules, report."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import ModelError
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader
from tfx_explain.regions.spans import spoken

pytestmark = pytest.mark.usefixtures("without_statistics")

VOCABULARY = ["good", "bad", "fine", "film", "very"]
EFFECTS = dict(zip(["", "?", *VOCABULARY], [0.0, 0.0, 2.0, -1.5, 0.25, 0.0, 0.125], strict=True))
MOST = 6
TEXTS = [
    b"a good film",
    b"good good bad, fine",
    b"",
    b"bad",
    "很好 good \U0001f468‍\U0001f469‍\U0001f467 שלום bad".encode(),
    b"\xff\xfe good \x80",
    b"fine " * 100,
    b"one two three very very good four five bad",
]
SPEC = {"review": tf.io.FixedLenFeature([], tf.string), "stars": tf.io.FixedLenFeature([], tf.float32)}
INSIDE = {"review": {"unit": "word"}}


class Network(tf.Module):
    """A table of words, the first of whose numbers is what the word adds."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        noise = np.random.default_rng(0).normal(size=(len(EFFECTS), 2))
        effects = np.array(list(EFFECTS.values()))[:, None] * factor
        self.table = tf.Variable(np.concatenate([effects, noise], axis=1).astype(np.float32))
        self.head = tf.Variable([[1.0], [0.0], [0.0]])
        keys = tf.lookup.KeyValueTensorInitializer(VOCABULARY, tf.range(2, 2 + len(VOCABULARY), dtype=tf.int64))
        self.numbers = tf.lookup.StaticHashTable(keys, 1)

    def __call__(self, parsed: dict[str, tf.Tensor]) -> tf.Tensor:
        valid = tf.strings.unicode_transcode(parsed["review"], "UTF-8", "UTF-8")
        words = tf.strings.split(tf.strings.regex_replace(valid, r"[^\pL]+", " "))
        numbers = self.numbers.lookup(words[:, :MOST]).to_tensor(shape=[None, MOST])
        return tf.reduce_sum(tf.gather(self.table, numbers), axis=1) @ self.head + 0.5 * parsed["stars"][:, None]


def saved(where: Path, factor: float = 1.0) -> str:
    network = Network(factor)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": network(tf.io.parse_example(examples, SPEC))}

    tf.saved_model.save(network, str(where), signatures={"serving_default": serve})
    return str(where)


def rows_of(n: int, seed: int) -> list[dict[str, Any]]:
    stars = np.random.default_rng(seed).normal(size=n).astype(np.float32)
    return [{"review": TEXTS[i % len(TEXTS)], "stars": float(stars[i]), "id": i} for i in range(n)]


def explained(directory: Path, methods: list[Any], num_shards: int, n_rows: int = 16, **given: Any) -> Any:
    examples = worlds.write_splits(directory / "examples", rows_of, 16, n_rows, num_shards=num_shards)
    config = {"methods": methods, "background": {"num_rows": 8}, "id_key": "id", "model": {"output_space": "raw"}}
    model = saved(directory / "model")
    return tfx_explain.explain(
        model=model, examples=examples, output_dir=str(directory / "out"), config=config, **given
    )


def effects_of(parts: pd.DataFrame) -> list[float]:
    """What each part's word adds, those behind the last word that is read nothing."""
    found = []
    for row, start, stop, seen in parts[["example_id", "start", "stop", "seen"]].itertuples(index=False):
        words = re.findall(r"[^\W\d_]+", TEXTS[int(row) % len(TEXTS)][start:stop].decode("utf-8", "ignore"))
        found.append(sum(EFFECTS.get(word, 0.0) for word in words) if seen else 0.0)
    return found


def test_words_in_records_checks_rules_and_report(tmp_path: Path) -> None:
    methods = ["shapley", {"integrated_gradients": {"parts": INSIDE}}]
    checks = {"faithfulness": {"methods": ["integrated_gradients"], "randomisation": 2}}
    explanation = explained(tmp_path, [*methods, checks], 1, n_rows=56)
    parts = explanation.parts("review", method="integrated_gradients")
    np.testing.assert_allclose(parts["attribution"], effects_of(parts), atol=1e-5)
    rows = explanation.attributions(method="integrated_gradients").set_index("example_id")["attribution_review"]
    sums = parts.groupby("example_id")["attribution"].sum()
    for row, value in rows.items():
        assert sums.get(row, 0.0) == pytest.approx(value, abs=1e-6)
    unseen = parts[parts["seen"] == 0]
    assert set(unseen["example_id"].astype(int) % len(TEXTS)) == {6, 7}
    words = explanation.words
    means = words[words["method"] == "integrated_gradients"].set_index("word")["mean"]
    assert means["good"] == pytest.approx(2.0, abs=1e-5)
    checked = explanation.faithfulness
    assert set(checked.loc[checked["feature"] == "review", "method"]) == {"integrated_gradients"}
    assert (checked.loc[(checked["feature"] == "review") & (checked["measure"] == "deletion"), "value"] > 0.3).all()
    of_words = {"feature": "review", "method": "integrated_gradients", "words": ["bad"], "value": 0.5}
    policy = ValidationConfig(rules=[{"max_part_share": of_words}])
    (finding,) = judge(ExplanationReader(str(tmp_path / "out")), policy).findings
    spans = zip(parts["example_id"], parts["start"], parts["stop"], strict=True)
    is_bad = [spoken(TEXTS[int(row) % len(TEXTS)][start:stop]) == "bad" for row, start, stop in spans]
    sizes = parts["attribution"].abs()
    assert finding.value == pytest.approx(sizes[is_bad].sum() / sizes.sum(), rel=1e-4)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "שלום" in page


def test_shards_and_a_baseline_model_change_nothing(tmp_path: Path) -> None:
    methods = [{"integrated_gradients": {"parts": INSIDE, "num_references": 3}}]
    one = explained(tmp_path / "one", methods, 1)
    other = explained(tmp_path / "other", methods, 4, baseline_model=saved(tmp_path / "baseline", -0.5))
    keys = ["example_id", "part"]
    tables = [made.parts("review").sort_values(keys, ignore_index=True) for made in (one, other)]
    pd.testing.assert_frame_equal(*tables)
    assert (tables[0]["attribution"] != 0).any()


def test_the_models_own_tokens_are_players(tmp_path: Path) -> None:
    tokens = {"review": {"unit": "token"}}
    explanation = explained(tmp_path, [{"shapley": {"parts": tokens}}, {"integrated_gradients": {"parts": tokens}}], 2)
    for method in ("shapley", "integrated_gradients"):
        parts = explanation.parts("review", method=method)
        np.testing.assert_allclose(parts["attribution"], effects_of(parts), atol=1e-5)
        texts = [TEXTS[int(row) % len(TEXTS)] for row in parts["example_id"]]
        spans = [text[start:stop] for text, start, stop in zip(texts, parts["start"], parts["stop"], strict=True)]
        # What is no letter makes no token, and what is not read is one span.
        assert {"good \U0001f468‍\U0001f469‍\U0001f467 ".encode(), b"bad, ", b"fine " * 94} <= set(spans)
        assert parts["seen"].sum() == len(parts) - 4


def test_a_model_without_tokens_of_its_own_is_refused(tmp_path: Path) -> None:
    def score(parsed: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(tf.strings.length(parsed["review"]), tf.float32) + parsed["stars"]

    examples = worlds.write_splits(tmp_path / "examples", rows_of, 16, 16)
    model = worlds.save_serving_model(tmp_path / "model", score, SPEC)
    config = {"methods": [{"shapley": {"parts": {"review": {"unit": "token"}}}}], "model": {"output_space": "raw"}}
    with pytest.raises(ModelError, match=r"no tensor of the text 'review' .* use `unit: word`"):
        tfx_explain.explain(model=model, examples=examples, output_dir=str(tmp_path / "out"), config=config)
