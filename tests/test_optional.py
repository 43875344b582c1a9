"""A package that is absent is one sentence, which says what to install."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tfx_explain import records
from tfx_explain.errors import ConfigError
from tfx_explain.models.transform.graph import TransformGraph
from tfx_explain.optional import is_installed, optional
from tfx_explain.transforms import attribution_stats


def transform_graph(directory: Path) -> None:
    for name in ("transform_fn", "transformed_metadata", "metadata"):
        (directory / name).mkdir()
    (directory / "transform_fn/saved_model.pb").touch()
    TransformGraph(str(directory))


@pytest.mark.parametrize(
    ("module", "use", "said"),
    [
        (
            "tfx_bsl.coders.example_coder",
            lambda _: records.decode_examples([b"x"]),
            "tf.Examples need tfx_bsl, which cannot be imported: pip install 'tfx-bsl'.",
        ),
        (
            "tensorflow_data_validation",
            lambda _: attribution_stats._tfdv(),
            "Statistics of attributions need tensorflow_data_validation, which cannot be imported: "
            "pip install 'tfx-explain[statistics]'.",
        ),
        (
            "tensorflow_transform",
            transform_graph,
            "Transform graphs need tensorflow_transform, which cannot be imported: pip install 'tensorflow-transform'.",
        ),
    ],
)
def test_libraries_of_tfx(
    module: str, use: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as refused:
        use(tmp_path)
    assert str(refused.value) == said


@pytest.mark.parametrize(("name", "there"), [("tfx_bsl", True), ("no_such_package", False), ("re", True)])
def test_knows_what_is_installed(name: str, there: bool) -> None:
    assert is_installed(name) is there


def test_what_cannot_be_found_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tfx_bsl", None)
    assert not is_installed("tfx_bsl")


def test_a_package_that_is_there_is_given() -> None:
    assert optional("re", "Nothing needs", "nothing") is re
