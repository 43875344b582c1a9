"""Files that are written anew."""

import io
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import pictures
from tfx_explain.config.parts import ImagePartsConfig
from tfx_explain.errors import ConfigError, ModelCallError
from tfx_explain.methods.context import FirstRows
from tfx_explain.methods.images import read_file
from tfx_explain.methods.shapley.parts.rewritten import channels_of, check_images
from tfx_explain.models import Inputs

SPOTS = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (4, 4, 3)), 4, 0), 4, 1).astype(np.uint8)


def jpeg() -> bytes:
    written = io.BytesIO()
    Image.fromarray(SPOTS).save(written, "JPEG")
    return written.getvalue()


class Asked:
    """A model that says what a function makes of a file."""

    def __init__(self, score, files):
        self.others = []
        self.score = score
        self.prediction = np.array([[0.0, score(file)] if file else [0.0, 0.0] for file in files])

    def predict(self, rows, column, contexts):
        return np.array([[0.0, self.score(file)] for file in column])

    def of(self):
        n = len(self.prediction)
        asked, floor = np.ones((n, 1), np.int64), np.full((n, 1), 1e-6)
        return SimpleNamespace(calls=self, asked=asked, floor=floor, side=SimpleNamespace(prediction=self.prediction))


def grey(file: bytes) -> float:
    """As the brightness that the file has, which is not quite that of its colours."""
    return float(read_file(file, 1).mean())


def coloured(file: bytes) -> float:
    return float(read_file(file, 3).mean())


def lengths(file: bytes) -> float:
    return float(len(file))


FILES = [pictures.png(SPOTS), jpeg(), b"", pictures.png(SPOTS[..., :1])]


def test_colours_are_kept_where_the_model_sees_them() -> None:
    assert channels_of("image", FILES, Asked(coloured, FILES).of()) == ({0: 0, 1: 0, 3: 0}, {}, 3)


def test_a_file_is_read_in_grey_where_the_model_does() -> None:
    found, reasons, n_model_rows = channels_of("image", FILES, Asked(grey, FILES).of())
    assert (found, reasons) == ({0: 0, 1: 1, 3: 0}, {})
    assert n_model_rows == 3 + 1 + 1


def test_what_is_another_image_to_the_model_is_no_row() -> None:
    found, reasons, _ = channels_of("image", FILES[:2], Asked(lengths, FILES[:2]).of())
    assert found == {}
    assert "is another one to the model once it is written as PNG" in reasons[1]


def test_what_nobody_reads_is_no_row() -> None:
    found, reasons, n_model_rows = channels_of("image", [b"no picture"], Asked(lengths, [b"no picture"]).of())
    assert (found, n_model_rows) == ({}, 0)
    assert "can be read by neither" in reasons[0]


class Picky:
    """A model that takes JPEG, and PNG where it is told to."""

    what = "the model"
    features = ()

    def __init__(self, takes_png: bool) -> None:
        self.takes_png = takes_png
        self.asked = []

    def row_errors(self, rows):
        return {}

    def inputs(self, rows):
        files = [values[0] for values in rows.column("image").to_pylist()]
        return Inputs(len(files), {"image": np.array([*files, None], object)[:-1]})

    def predict(self, inputs):
        self.asked += list(inputs.columns["image"])
        if any(file.startswith(b"\x89PNG") for file in inputs.columns["image"]) and not self.takes_png:
            raise ModelCallError("it wants JPEG.")
        return np.zeros((len(inputs), 1))


def test_models_that_take_no_png_are_refused() -> None:
    rows = pa.RecordBatch.from_pydict({"image": pa.array([[jpeg()]], pa.large_list(pa.large_binary()))})
    settings = ImagePartsConfig(segments=4)
    first_rows = FirstRows({"eval": rows}, frozenset({"image"}))
    easy = Picky(takes_png=True)
    check_images("image", settings, first_rows, [easy])
    assert [file[:4] for file in easy.asked] == [jpeg()[:4], b"\x89PNG"]
    with pytest.raises(
        ConfigError, match=r"writes what is left as PNG, which the model does not take \(it wants JPEG\)"
    ):
        check_images("image", settings, first_rows, [easy, Picky(takes_png=False)])


def test_numbers_of_unknown_shape_are_refused() -> None:
    rows = pa.RecordBatch.from_pydict({"image": pa.array([[0.5] * 4], pa.large_list(pa.float32()))})
    with pytest.raises(ConfigError, match="holds numbers in split `eval`, and no model says of which shape"):
        check_images("image", ImagePartsConfig(segments=4), FirstRows({"eval": rows}, frozenset({"image"})), [])
