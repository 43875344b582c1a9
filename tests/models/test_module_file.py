"""Models loaded by a Python file: scikit-learn and XGBoost."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from tfx_explain.errors import ConfigError, ModelError, SignatureError, TfxExplainError
from tfx_explain.models import identity, load_module_model
from tfx_explain.models.probe import Probe

SCHEMA = {
    "income": ("float", 1, 1, 0.3),
    "age": ("int", 1, 1, 0.0),
    "color": ("string", 1, 1, 0.3),
    "v": ("float", 2, 2, 0.0),
}

MODULE = """
import pickle
import numpy as np

FEATURES = {"income": "float64", "age": "int64", "color": "string", "v": "float32[2]"}

def matrix(columns):
    words = np.array([{None: 0, b"red": 1, b"green": 2}.get(word, 3) for word in columns["color"]])
    income = np.nan_to_num(columns["income"], nan=-1.0) if FILL else columns["income"]
    return np.column_stack([income, columns["age"], words, columns["v"]])

def load_model(model_dir):
    with open(f"{model_dir}/model.pkl", "rb") as file:
        model = pickle.load(file)
    return lambda columns: model.predict_proba(matrix(columns))
"""


def _matrix(rows, fill):
    words = {b"red": 1, b"green": 2}
    missing = -1.0 if fill else np.nan
    return np.array(
        [
            [
                row.get("income", [missing])[0],
                row["age"][0],
                words.get(row["color"][0], 3) if "color" in row else 0,
                *row["v"],
            ]
            for row in rows
        ]
    )


def _scikit_learn():
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(10, max_depth=4, random_state=0)


def _xgboost():
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1)


@pytest.mark.parametrize(("make", "fill"), [(_scikit_learn, True), (_xgboost, False)])
def test_module_models(tmp_path, check_model, tools, make, fill):
    data = tools.Data(SCHEMA)
    rows = data.rows(300, 7)
    x = _matrix(rows, fill)
    classifier = make().fit(x, (np.nan_to_num(x[:, 0]) + x[:, 3] * x[:, 1] > x[:, 2] - 1).astype(int))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(classifier))
    (tmp_path / "module.py").write_text(f"FILL = {fill}\n{MODULE}")
    model = load_module_model(str(tmp_path / "module.py"), str(tmp_path))
    assert (model.access, model.output_space, model.n_outputs) == ("module", "raw", 2)
    assert "logits" in model.output_space_note
    assert [spec.name for spec in model.features] == ["age", "color", "income", "v"]

    def call(rows):
        return classifier.predict_proba(_matrix(rows, fill)).astype(float)

    check_model(model, data, call, [["income", "v"], ["age"], ["color"]])


def test_what_a_module_is_given_for_missing_values(tmp_path, tools):
    (tmp_path / "module.py").write_text(
        "FEATURES = {'f': 'float32', 's': 'string', 'i': 'int64', 'g': 'float32[2]'}\nseen = []\n"
        "def load_model(model_dir):\n    return lambda c: (seen.append(c), c['f'])[1]\n"
    )
    model = load_module_model(str(tmp_path / "module.py"), "", output_space="probability")
    assert model.output_space == "probability"
    schema = {"f": ("float", 1, 1, 0), "s": ("string", 1, 1, 0), "i": ("int", 1, 1, 0), "g": ("float", 2, 2, 0)}
    inputs = model.inputs(tools.Data(schema).batch([{"i": [3]}, {"i": [4], "f": [1.5], "s": [b"x"], "g": [1.0, 2.0]}]))
    columns = inputs.columns
    np.testing.assert_array_equal(columns["f"], np.float32([np.nan, 1.5]))
    np.testing.assert_array_equal(columns["g"], np.float32([[np.nan, np.nan], [1, 2]]))
    assert columns["s"].tolist() == [None, b"x"]
    assert columns["i"].tolist() == [3, 4]
    errors = model.row_errors(tools.Data(schema).batch([{"f": [1.0]}]))
    assert errors == {0: "feature 'i' is missing and the model has no default for it."}


FEATURES = "import numpy as np\nFEATURES = {'f': 'float32'}\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import sys\nsys.exit(3)\n", "cannot be imported: it ended the program with exit code 3"),
        (
            "def features(d):\n    raise SystemExit\ndef load_model(d):\n    return len\n",
            "`features` of .* ended the pr",
        ),
        (FEATURES + "def load_model(d):\n    raise SystemExit(2)\n", "`load_model` of .* failed .* exit code 2"),
        (FEATURES + "def load_model(d):\n    return lambda c: exit(4)\n", "failed on 2 rows: it ended the program"),
        (FEATURES + "def load_model(d):\n    return lambda c: np.zeros((len(c['f']), 0))\n", "gave 0 outputs"),
        ("FEATURES = {3: 'float32'}\nload_model = len\n", "declares a feature 3; the name .* is a non-empty text"),
        ("FEATURES = {'': 'float32'}\nload_model = len\n", "declares a feature ''; the name"),
        ("x = 'caf\xe9'\n", "cannot be imported: .*utf-8"),
    ],
)
def test_a_module_that_ends_the_program_or_gives_nothing_is_one_sentence(tmp_path, source, words):
    (tmp_path / "module.py").write_bytes(source.encode("latin-1"))
    with pytest.raises(TfxExplainError, match=words):
        load_module_model(str(tmp_path / "module.py"), str(tmp_path))


def test_a_model_gives_as_many_outputs_for_any_number_of_rows(tmp_path, tools):
    (tmp_path / "module.py").write_text(
        FEATURES + "def load_model(d):\n    return lambda c: np.zeros((len(c['f']), 1 + (len(c['f']) > 2)))\n"
    )
    model = load_module_model(str(tmp_path / "module.py"), "")
    rows = [{"f": [1.0]}] * 3
    with pytest.raises(ModelError, match="gave 2 outputs for each of 3 rows; it must give 1 as before"):
        model.predict(model.inputs(tools.Data({"f": ("float", 1, 1, 0)}).batch(rows)))


def test_a_directory_is_no_module_file(tmp_path):
    with pytest.raises(ConfigError, match="Cannot read module_file"):
        load_module_model(str(tmp_path), "")
    assert identity.file_digest(str(tmp_path)) is None


def test_a_model_that_refuses_blanks_is_asked_with_rows(tmp_path, tools):
    (tmp_path / "module.py").write_text(
        "import numpy as np\nFEATURES = {'s': 'string', 'i': 'int64'}\nCODES = {b'x': 0.0, b'y': 1.0}\n"
        "def load_model(model_dir):\n    return lambda c: np.eye(3)[c['i']] * [[CODES[s]] for s in c['s']]\n"
    )
    with pytest.raises(SignatureError, match=r"number of outputs .* is unknown"):
        load_module_model(str(tmp_path / "module.py"), "")
    data = tools.Data({"s": ("string", 1, 1, 0), "i": ("int", 1, 1, 0)})
    batch = data.batch([{"s": [b"z"], "i": [0]}, {"s": [b"x"]}, {"s": [b"y"], "i": [2]}, {"s": [b"z"], "i": [1]}])
    assert load_module_model(str(tmp_path / "module.py"), "", probe=Probe(batches=(batch,))).n_outputs == 3
    assert load_module_model(str(tmp_path / "module.py"), "", probe=Probe(n_outputs=3)).n_outputs == 3


@pytest.mark.parametrize("statement", ["import helper_inside", "helper_inside = __import__('helper' + '_inside')"])
def test_imports_inside_functions_find_what_is_beside_the_file(tmp_path, tools, statement):
    models = []
    for factor in (2, 3):
        directory = tmp_path / str(factor)
        directory.mkdir()
        (directory / "helper_inside.py").write_text(f"def f(x):\n    return {factor} * x\n")
        (directory / "module.py").write_text(
            "FEATURES = {'f': 'float32'}\ndef load_model(model_dir):\n    def call(columns):\n"
            f"        {statement}\n        return helper_inside.f(columns['f'])\n    return call\n"
        )
        models.append(load_module_model(str(directory / "module.py"), ""))
    assert str(tmp_path / "2") not in sys.path
    batch = tools.Data({"f": ("float", 1, 1, 0)}).batch([{"f": [1.0]}])
    # Each finds its own, whoever was called before.
    for model, factor in [*zip(models, (2, 3), strict=True)] * 2:
        assert model.predict(model.inputs(batch)).tolist() == [[factor]]
        assert list(model.sources) == [str(tmp_path / str(factor) / "helper_inside.py")]
