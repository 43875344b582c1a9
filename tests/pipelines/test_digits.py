"""The pipeline of digits: what it reads, how the model decodes pictures, and the verdict of the whole run."""

import io
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

import tfx_explain
from digits import data, local_runner, module
from pipeline_settings import changed_settings

INK = 16


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The serialized examples as they are written, all of them."""
    directory = tmp_path_factory.mktemp("digits")
    assert data.write_examples(directory) == 1797
    return [record.numpy() for record in tf.data.TFRecordDataset(str(directory / "digits.tfrecord"))]


def values(records, feature):
    """The only value of a feature, for each example."""
    parsed = (tf.train.Example.FromString(record).features.feature[feature] for record in records)
    return [(one.int64_list.value or one.bytes_list.value)[0] for one in parsed]


def test_every_picture_is_written_once_with_its_digit(records):
    published = load_digits()
    assert values(records, data.ID) == list(range(1, 1798))
    assert values(records, data.LABEL) == published.target.tolist()
    means = module.decode(tf.constant(values(records, data.IMAGE))).numpy().mean(axis=(1, 2, 3))
    # Enlarging between neighbours repeats the border and keeps no more than about the mean.
    assert np.corrcoef(means, published.images.mean(axis=(1, 2)))[0, 1] > 0.99


@pytest.mark.parametrize("grey", [0, INK])
def test_paper_is_nothing_and_ink_is_one(grey):
    pixels = module.decode(tf.constant([data.png(np.full((8, 8), grey))])).numpy()
    np.testing.assert_array_equal(pixels, np.full((1, module.SIDE, module.SIDE, 1), grey / INK))


def test_pictures_of_other_sizes_and_colours_are_brought_to_the_same():
    large = Image.new("RGB", (70, 50), (255, 255, 255))
    file = io.BytesIO()
    large.save(file, "PNG")
    white = data.png(np.full((8, 8), INK))
    first, second = module.decode(tf.constant([file.getvalue(), white])).numpy()
    # Weights of three colours that are rounded to whole numbers do not quite add up to one.
    np.testing.assert_allclose(first, second, atol=1.01 / 255)


def test_data_and_module_agree():
    assert (data.IMAGE, data.LABEL, data.SIDE) == (module.IMAGE, module.LABEL, module.SIDE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the demo says where fewer pictures are explained, and the directory that it wrote to."""
    root, settings = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("settings")
    terminal = io.StringIO()
    fewer = {"explain.yaml": {"max_examples: 200": "max_examples: 24"}, "policy.yaml": {"150": "24"}}
    changed_settings(local_runner.HERE, settings, fewer)
    # The libraries' own warnings are none of ours: no code of the package runs here that other tests do not run too.
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(local_runner, "DEMO", root)
        patch.setattr(local_runner, "HERE", settings)
        local_runner.run(terminal)
    return terminal.getvalue(), root


@pytest.mark.e2e
def test_the_model_is_blessed_and_where_to_read_on_is_said(ran):
    said, root = ran
    assert "-> BLESSED" in said
    (verdict,) = root.glob("artifacts/ExplanationValidator/validation/*/verdict.html")
    (report,) = root.glob("artifacts/Explainer/explanation/*/report.html")
    assert str(verdict) in said
    assert str(report) in said


@pytest.mark.e2e
def test_the_served_model_reads_digits(ran):
    _, root = ran
    (pushed,) = (root / "serving").iterdir()
    serve = tf.saved_model.load(str(pushed)).signatures["serving_default"]
    (shard,) = root.glob("artifacts/ImportExampleGen/examples/*/Split-eval/*.gz")
    evaluated = [record.numpy() for record in tf.data.TFRecordDataset(str(shard), "GZIP")]
    seen = serve(examples=tf.constant(evaluated))["probabilities"].numpy().argmax(axis=1)
    assert len(evaluated) > 500
    assert np.mean(seen == values(evaluated, data.LABEL)) > 0.95


@pytest.mark.e2e
def test_regions_of_a_picture_add_up_to_it(ran):
    _, root = ran
    (directory,) = root.glob("artifacts/Explainer/explanation/*")
    explanation = tfx_explain.load(str(directory))
    pictures = explanation.attributions(method="xrai").set_index("example_id")["attribution_image"]
    parts = explanation.parts("image", method="xrai").groupby("example_id")
    np.testing.assert_allclose(parts["attribution"].sum().loc[pictures.index], pictures, rtol=1e-6, atol=1e-6)
    assert (parts["pixels"].sum() == data.SIDE**2).all()
    assert explanation.image_map(pictures.index[0], method="xrai").shape == (data.SIDE, data.SIDE)
