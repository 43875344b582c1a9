"""An explanation that other tools read."""

import pytest

import interop
import tfx_explain
import worlds
from tfx_explain.reader import ExplanationReader


@pytest.fixture(scope="session")
def explanation(linear_model: str, tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    root = tmp_path_factory.mktemp("interop")
    examples = worlds.write_splits(root / "examples", worlds.make_rows, 30, interop.N_EVAL, 2)
    config = {
        "background": {"num_rows": 8},
        "slicing_specs": [{"feature_keys": ["race"]}],
        "methods": [{"shapley": {"interactions": 2}}, {"partial_dependence": {"grid_size": 4, "num_ice": 4}}],
    }
    return tfx_explain.explain(
        model=linear_model, examples=examples, output_dir=str(root / "explanation"), config=config
    )
