"""Images cut into regions, and what stands in their place."""

import numpy as np
import pyarrow as pa

import pictures
from tfx_explain.config.parts import ImagePartsConfig
from tfx_explain.methods.images import ImageForm
from tfx_explain.methods.shapley.parts.images import ImageCutter
from tfx_explain.regions.written import png_file

RNG = np.random.default_rng(0)
EIGHT = RNG.integers(0, 256, (4, 5, 3)).astype(np.uint8)
DEEP = RNG.integers(0, 2**16, (4, 5, 3)).astype(np.uint16)
SMALL = EIGHT[:2]
ROWS = pa.RecordBatch.from_pydict({"id": pa.array([[i] for i in range(4)])})
BACKGROUND = RNG.integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)


def cutter(absent: str, background: np.ndarray | None = None) -> ImageCutter:
    return ImageCutter("image", ImagePartsConfig(segments=6, absent=absent), ImageForm(), (), background)


def test_images_of_the_background_stand_in_where_they_are_alike() -> None:
    files = [pictures.png(EIGHT), pictures.png(DEEP), pictures.png(SMALL), b""]
    rows, reasons = cutter("background", BACKGROUND).of_files(ROWS, files, {})
    assert rows.lengths.tolist() == [6, 0, 0, 0]
    assert "it is 4 x 5 x 3 of uint16, and images of the background are 4 x 5 x 3 of uint8" in reasons[1]
    assert "it is 2 x 5 x 3 of uint8" in reasons[2]
    assert set(reasons) == {1, 2}
    assert not rows.has_rest
    found = rows.values(0, 6, np.zeros(0)).column(np.zeros((2, 6), bool), np.array([2, 0]))
    assert found.tolist() == [png_file(BACKGROUND[2]), png_file(BACKGROUND[0])]
    _, reasons = cutter("background").of_files(ROWS, files, {})
    assert "images of the background are of several sizes" in reasons[0]


def test_the_file_itself_is_the_image_with_all_its_regions() -> None:
    file = pictures.png(EIGHT)
    rows, reasons = cutter("mean").of_files(ROWS, [file, b""], {})
    assert (reasons, rows.has_rest) == ({}, True)
    present = np.array([[True] * 6, [True] * 3 + [False] * 3])
    whole, part = rows.values(0, 6, np.zeros(0)).column(present)
    assert whole == file
    assert part != file
    assert rows.where(rows.lengths)[:, 0].tolist() == [*np.bincount(rows.pictures[0].labels.ravel()), 0, 0]
    assert rows.maps[0].startswith(b"\x89PNG")
    assert rows.maps[1] == b""


def test_pixels_that_are_no_numbers_are_not_cut() -> None:
    pixels = np.stack([EIGHT / 255.0, np.full(EIGHT.shape, np.nan)])
    rows, reasons = cutter("blur").of_pixels(ROWS, pixels, None)
    assert rows.lengths.tolist() == [6, 0]
    assert reasons == {1: "the image `image` cannot be cut into regions: it has values that are not finite"}
