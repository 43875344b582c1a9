"""A package that is absent is one sentence, which says what to install."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tfx_explain import records
from tfx_explain.errors import ConfigError
from tfx_explain.models.transform.graph import TransformGraph
from tfx_explain.optional import optional
from tfx_explain.transforms import attribution_stats


def transform_graph(directory: Path) -> None:
    for name in ("transform_fn", "transformed_metadata", "metadata"):
        (directory / name).mkdir()
    (directory / "transform_fn/saved_model.pb").touch()
    TransformGraph(str(directory))


@pytest.mark.parametrize(
    ("module", "use", "said"),
    [
        ("tfx_bsl.coders.example_coder", lambda _: records.decode_examples([b"x"]), "tf.Examples need tfx_bsl"),
        (
            "tensorflow_data_validation",
            lambda _: attribution_stats._tfdv(),
            "Statistics of attributions need tensorflow_data_validation",
        ),
        ("tensorflow_transform", transform_graph, "Transform graphs need tensorflow_transform"),
    ],
)
def test_libraries_of_tfx(
    module: str, use: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0].replace("_", "-")
    with pytest.raises(ConfigError, match=rf"^{said}, which cannot be imported: pip install '{package}'\.$"):
        use(tmp_path)


def test_a_package_that_is_there_is_given() -> None:
    assert optional("re", "Nothing needs", "nothing") is re
