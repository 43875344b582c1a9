"""Values that are not to be stored are in no file, by their bytes; what needs them says so."""

import gzip
import re
import struct
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import formats
import tfx_explain
import worlds
from tfx_explain.cli import main
from tfx_explain.errors import ConfigError, InputError

SPEC = {
    "amount": tf.io.FixedLenFeature([], tf.float32),
    "digits": tf.io.FixedLenFeature([], tf.string),
    "left": tf.io.FixedLenFeature([], tf.float32),
}
N_ROWS = 12


def rows(split: str) -> list[dict[str, Any]]:
    """Rows whose values are nowhere else; the model refuses the last one, and says what it has there."""
    first = 0 if split == "train" else 50
    made = [
        {
            "amount": 48151.125 + number,
            "digits": f"77{40_813 + 17 * number}".encode(),
            "left": 60221.375 + number,
            "unread": f"zqxj{number}".encode(),
            "weight": 1.0 + number,
            "approved": number % 2,
            "name": f"{split}-{number}".encode(),
        }
        for number in range(first, first + N_ROWS)
    ]
    return [*made, {**made[0], "digits": b"no-digits", "name": f"{split}-refused".encode()}]


VALUES = [value for split in ("train", "eval") for row in rows(split) for name, value in row.items()
          if name in ("amount", "digits", "left", "unread")]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("stored")

    def score(features: dict[str, Any]) -> Any:
        return 1e-3 * (features["amount"] - 2.0 * features["left"]) + 1e-6 * tf.strings.to_number(features["digits"])

    for split in ("train", "eval"):
        serialized = [worlds.to_example(row) for row in rows(split)]
        worlds.write_records(root / "examples" / f"Split-{split}", serialized, 2)
    model = worlds.save_serving_model(root / "model", score, SPEC)
    return {"model": model, "examples": str(root / "examples")}


CONFIG: dict[str, Any] = {
    "id_key": "name",
    "label_key": "approved",
    "features": {"exclude": ["left"]},
    "feature_names": {"amount": "How much"},
    "max_failed_fraction": 0.2,
    "methods": ["shapley", "occlusion", "permutation_importance", "sage", "interaction_strength", "faithfulness"],
    "reasons": {"adverse": "high", "deny": ["left"]},
}


@pytest.fixture(scope="module")
def hidden(world: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("none") / "out"
    return tfx_explain.explain(**world, output_dir=str(out), config={**CONFIG, "store_features": "none"})


@pytest.fixture(scope="module")
def explained(world: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("explained") / "out"
    config = {**CONFIG, "methods": ["shapley"], "store_features": "explained", "example_weight_key": "weight"}
    return tfx_explain.explain(**world, output_dir=str(out), config=config)


def forms(value: float | bytes) -> re.Pattern[bytes]:
    """A value as files may have it: in bits of any width, or in digits, of no digest or longer number."""
    if isinstance(value, bytes):
        return re.compile(re.escape(value))
    bits = b"|".join(re.escape(struct.pack(width, value)) for width in ("<f", "<d"))
    digits = "|".join(map(re.escape, (str(value), f"{value:.6g}", f"{value:,.0f}", f"{value:.0f}")))
    return re.compile(bits + rb"|(?<![\w.])(?:" + digits.encode() + rb")(?!\w)", re.DOTALL)


def contents(explanation: Any) -> dict[str, bytes]:
    """File -> its bytes, and those of what is in it."""
    found = {}
    for path in (path for path in Path(explanation.uri).rglob("*") if path.is_file()):
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw += gzip.decompress(raw)
        elif path.suffix == ".parquet":
            chunks = [chunk for column in pq.read_table(path).columns for chunk in column.chunks]
            raw += b" ".join(buffer.to_pybytes() for chunk in chunks for buffer in chunk.buffers() if buffer)
        found[str(path.relative_to(explanation.uri))] = raw
    return found


def test_no_file_holds_a_value(hidden: Any) -> None:
    found = contents(hidden)
    assert {"report.html", "background.parquet", "report_examples.parquet", "reasons.parquet"} <= set(found)
    assert any(name.startswith("dead_letters") for name in found)
    held = [(name, value) for name, raw in found.items() for value in VALUES if forms(value).search(raw)]
    assert not held
    formats.check_files(hidden)
    hidden.verify()


def test_names_of_rows_are_in_every_table_of_rows(hidden: Any) -> None:
    names = {f"eval-{number}" for number in range(50, 50 + N_ROWS)}
    assert set(hidden.attributions()["example_id"]) == names
    assert set(hidden.reasons["example_id"]) <= names
    assert len(hidden.reasons)
    dead = hidden.dead_letters()
    assert list(dead.columns) == ["reason", "split", "example_id"]
    assert set(dead["example_id"]) == {"train-refused", "eval-refused"}
    assert dead["reason"].str.startswith("the model refuses the row; what it says is not stored").all()
    assert list(hidden.background.columns) == ["__weight__"]


def test_what_shows_values_says_that_there_are_none(hidden: Any) -> None:
    assert "not stored" in hidden.report()
    assert set(hidden.row("eval-50").contributions["value"]) == {"not stored"}
    with pytest.raises(InputError, match="holds no values of `amount`"):
        hidden.plot.dependence("amount")
    assert hidden.plot.waterfall("eval-50")


def test_features_that_are_explained_may_be_all_that_is_stored(explained: Any) -> None:
    stored = {"amount", "digits"}
    assert explained.manifest["stored_features"] == sorted(stored)
    own = set(rows("eval")[0])
    assert own & set(explained.attributions().columns) == stored
    assert own & set(explained.background.columns) == stored
    found = contents(explained)
    others = [value for split in ("train", "eval") for row in rows(split) for value in (row["left"], row["unread"])]
    assert not [(name, value) for name, raw in found.items() for value in others if forms(value).search(raw)]
    assert "How much" in explained.report()
    assert explained.row("eval-51").contributions.set_index("player")["value"]["other_features"] == "not stored"


def test_a_rule_that_needs_values_says_which(
    explained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"rules": [{"attribution_drift": {"measure": "jensen_shannon", "max": 0.1}}]}')
    typed = ["validate", "--explanation", explained.uri, "--baseline", explained.uri, "--config", str(policy)]
    assert main(typed) == 2
    assert (
        "holds no values of `weight` (`store_features`), by which `attribution_drift` weighs" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"methods": ["partial_dependence"]}, "but method `partial_dependence` writes some"),
        ({"methods": [{"xrai": {"feature": "image"}}]}, "but method `xrai` writes some"),
        ({"methods": [{"shapley": {"parts": {"review": {}}}}]}, "but `parts` of `shapley` writes some"),
        ({"slicing_specs": [{"feature_keys": ["sex"]}]}, "but `feature_keys` of `slicing_specs` writes some"),
    ],
)
def test_what_would_write_values_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        tfx_explain.ExplainConfig.from_dict({**config, "store_features": "none"})
    assert said in str(error.value)
