"""The model that is explained is the one that the manifest names, whatever happens to its files."""

import pickle
import shutil

import apache_beam as beam
import pyarrow as pa
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain.config import ModelConfig
from tfx_explain.errors import ModelError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.transforms import job

MODULE = "FEATURES = {{'x': 'float32'}}\nload_model = lambda d: lambda c: {} * c['x']\n"
ONE = pa.RecordBatch.from_pydict({"x": pa.array([[1.0]], pa.large_list(pa.float32()))})


def save_saved_model(root, factor):
    spec = {"x": tf.io.FixedLenFeature([], tf.float32)}
    worlds.save_serving_model(root / "model", lambda parsed: factor * parsed["x"], spec)
    return ModelHandle(str(root / "model"), ModelConfig())


def save_module(root, factor):
    (root / "module.py").write_text(MODULE.format(factor))
    return ModelHandle(str(root), ModelConfig(module_file=str(root / "module.py")))


def output(handle):
    model = handle.acquire()
    return model, model.predict(model.inputs(ONE)).item()


@pytest.mark.parametrize("save", [save_saved_model, save_module])
def test_a_replaced_model_is_loaded_anew_and_an_old_handle_refuses_it(tmp_path, save):
    first = save(tmp_path, 2.0).identified()
    held, value = output(first)
    assert value == 2
    assert first.acquire() is held
    second = save(tmp_path, 3.0).identified()
    assert (second.model_dir, second.config) == (first.model_dir, first.config)
    assert second != first
    assert output(second)[1] == 3
    assert output(save(tmp_path, 3.0))[1] == 3
    assert first.acquire() is held, "what was loaded before the change is still the right model"
    with pytest.raises(ModelError, match="changed while it was explained") as error:
        first.check(held)
    assert "\n" not in str(error.value)
    job_of_a_worker = pickle.loads(pickle.dumps(save(tmp_path, 5.0).identified()))
    save(tmp_path, 4.0)
    with pytest.raises(ModelError, match="changed while it was explained"):
        job_of_a_worker.acquire()


@pytest.mark.parametrize("change", ["changed", "removed"])
def test_a_job_whose_model_changes_has_no_result(tmp_path, monkeypatch, change):
    save_saved_model(tmp_path, 2.0)
    rows = [worlds.to_example({"x": float(i)}) for i in range(20)]
    examples = worlds.write_records(tmp_path / "rows", rows)
    whole = job.build_job

    def build_and_change(pipeline: beam.Pipeline, request):
        whole(pipeline, request)
        shutil.rmtree(tmp_path / "model")
        if change == "changed":
            save_saved_model(tmp_path, 3.0)

    monkeypatch.setattr(job, "build_job", build_and_change)
    with pytest.raises(ModelError, match=f"was {change} while it was explained"):
        tfx_explain.explain(model=str(tmp_path / "model"), examples=examples, output_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_manifest_names_the_model_by_its_identity(tmp_path):
    # The job writes beneath the model's directory, which is no change of the model.
    handle = save_module(tmp_path, 2.0)
    rows = [worlds.to_example({"x": float(i)}) for i in range(20)]
    examples = worlds.write_records(tmp_path / "rows", rows)
    identity = handle.identified().identity
    made = tfx_explain.explain(
        model=str(tmp_path),
        examples=examples,
        output_dir=str(tmp_path / "out"),
        config={"model": {"module_file": str(tmp_path / "module.py")}},
        baseline_model=str(tmp_path),
    )
    assert made.manifest["model"]["digest"] == made.manifest["baseline_model"]["digest"] == identity
