"""Models and examples that several tests read; made once."""

import gc
import logging
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# Shells start background commands with Ctrl-C ignored, which the jobs that tests interrupt would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Nothing of what is imported is garbage: to look for some among it takes seconds.
gc.disable()
# How long an example may take is no test: machines differ.
settings.register_profile("tfx-explain", deadline=None)
settings.load_profile("tfx-explain")


def pytest_collection_finish() -> None:
    """From here on garbage is collected, but not looked for among what was imported."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture(autouse=True)
def _log_level() -> None:
    """The command line silences the log of its process, which here is that of later tests as well."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(scope="session", autouse=True)
def _beam_memory() -> Iterator[None]:
    """Where a test has imported Beam, it remembers what it asks; the tests of the numerics start without it."""
    with pytest.MonkeyPatch.context() as patch:
        if "apache_beam" in sys.modules:
            import beam_memory

            beam_memory.remember(patch)
        yield


@pytest.fixture(scope="module")
def without_statistics() -> Iterator[None]:
    """Jobs as where TensorFlow Data Validation is absent, whose steps are a large part of a small job."""
    from tfx_explain.job import manifest
    from tfx_explain.optional import is_installed
    from tfx_explain.transforms import job

    with pytest.MonkeyPatch.context() as patch:
        for module in (job, manifest):
            patch.setattr(module, "is_installed", lambda name: name != job.TFDV and is_installed(name))
        yield


@pytest.fixture(scope="session")
def linear_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`worlds.linear_output` as a SavedModel on serialized tf.Examples."""
    # Not at the top: the tests of the wheel and of the numerics start without TensorFlow.
    import tensorflow as tf

    import worlds

    def score(features: dict[str, Any]) -> Any:
        numeric = sum(weight * tf.cast(features[name], tf.float64) for name, weight in worlds.LINEAR_WEIGHTS.items())
        return (
            numeric + worlds.RACE_EFFECT[b"b"] * tf.cast(features["race"] == b"b", tf.float64) + worlds.LINEAR_INTERCEPT
        )

    return worlds.save_serving_model(tmp_path_factory.mktemp("linear") / "model", score, worlds.FEATURES)


@pytest.fixture(scope="session")
def linear_examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with `Split-train` (300 rows) and `Split-eval` (120 rows) for the linear model."""
    import worlds

    root = tmp_path_factory.mktemp("examples")
    worlds.write_records(root / "Split-train", [worlds.to_example(row) for row in worlds.make_rows(300, seed=1)])
    worlds.write_records(root / "Split-eval", [worlds.to_example(row) for row in worlds.make_rows(120, seed=2)])
    return str(root)


@pytest.fixture(scope="session")
def transform_graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Transform's saved graph of `transforming.preprocessing_fn`."""
    import transforming

    return transforming.write_transform_graph(tmp_path_factory.mktemp("transform"))
