"""How much lies in an area or in words, on rows that are written down here."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.details import PartPlace
from tfx_explain.part_records import PartRows, PartsOf, part_columns
from tfx_explain.part_shares import part_sizes
from tfx_explain.regions import encode_labels

TEXT, IMAGE = PartsOf("spans", ("start", "stop", "seen")), PartsOf("regions", ("pixels",), has_maps=True)


def batch(feature: str, of: PartsOf, rows: PartRows, values: list[list[bytes]]) -> pa.RecordBatch:
    columns = {feature: pa.array(values, pa.large_list(pa.large_binary())), **part_columns(feature, of, rows)}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def test_words_count_whatever_their_case_and_punctuation() -> None:
    texts = [b"Leak, good LEAK!", b"", b"good"]
    where = np.array([[0, 6, 1], [6, 11, 1], [11, 16, 1], [0, 4, 1]])
    attributions = np.array([[2.0, 0.5], [-1.0, 1.0], [-3.0, 0.25], [4.0, -8.0]])
    rows = PartRows(np.array([3, 0, 1]), where, attributions, np.zeros((4, 2)))
    found = part_sizes(batch("t", TEXT, rows, [[text] for text in texts]), "", TEXT, 2, PartPlace("t", words=("leak",)))
    np.testing.assert_allclose(found.inside, [[5.0, 0.75], [0, 0], [0, 0]])
    np.testing.assert_allclose(found.total, [[6.0, 1.75], [0, 0], [4.0, 8.0]])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("die Straße hier", "STRASSE"),
        ("die STRASSE hier", "Straße"),
        ("an #ad here", "#ad"),
        ("from Yahoo! today", "yahoo!"),
        ("It is rotten. Bad film.", "rotten"),
    ],
)
def test_words_are_found_as_people_write_them_and_inside_longer_spans(text: str, word: str) -> None:
    rows = PartRows(np.array([1]), np.array([[0, len(text.encode()), 1]]), np.array([[2.0]]), np.zeros((1, 1)))
    made = batch("t", TEXT, rows, [[text.encode()]])
    assert part_sizes(made, "", TEXT, 1, PartPlace("t", words=(word,))).inside[0, 0] == 2.0
    assert part_sizes(made, "", TEXT, 1, PartPlace("t", words=("rot", "ahoo", "stra"))).inside[0, 0] == 0.0


def test_the_noise_of_many_parts_does_not_hide_the_one_that_matters() -> None:
    rng = np.random.default_rng(0)
    text = b"leak " + b"x " * 2_000
    where = np.array([[0, 5, 1], *([start, start + 2, 1] for start in range(5, 4_005, 2))])
    attributions = np.concatenate([[[10.0]], 0.1 * rng.normal(size=(2_000, 1))])
    rows = PartRows(np.array([2_001]), where, attributions, np.full((2_001, 1), 0.1))
    found = part_sizes(batch("t", TEXT, rows, [[text]]), "", TEXT, 1, PartPlace("t", words=("leak",)))
    # Sizes of noise add up to 0 on average, with a spread of 0.1 for each of 2,000.
    assert abs(found.total[0, 0] - 10.0) < 5 * 0.1 * np.sqrt(2_000)
    assert found.total[0, 0] < 0.5 * np.abs(attributions).sum()


def test_regions_count_by_the_pixels_that_lie_in_the_area() -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    rows = PartRows(
        np.array([2, 0]),
        np.array([[4], [8]]),
        np.array([[-4.0], [2.0]]),
        np.zeros((2, 1)),
        np.array([encode_labels(labels), b""], object),
    )
    made = batch("i", IMAGE, rows, [[b"x"], [b"x"]])

    def inside(*area: float) -> float:
        return float(part_sizes(made, "", IMAGE, 1, PartPlace("i", area=area)).inside[0, 0])

    assert inside(0, 0, 1, 1) == pytest.approx(6.0)
    assert inside(0, 0, 0.5, 2 / 3) == pytest.approx(4.0)
    assert inside(0, 2 / 3, 1, 1) == pytest.approx(2.0 * 4 / 8)
    # Half a column of two pixels of each region's height, and so on.
    assert inside(0.25, 0, 0.625, 1 / 3) == pytest.approx(4.0 / 4 + 2.0 / 8 * 0.5)
    assert part_sizes(made, "", IMAGE, 1, PartPlace("i", area=(0, 0, 1, 1))).total.tolist() == [[6.0], [0.0]]


def test_what_is_left_of_an_image_is_nowhere_and_has_no_share() -> None:
    """The last region of each row has no pixels; the second row has no image."""
    rows = PartRows(
        np.array([2, 1]),
        np.array([[4], [0], [0]]),
        np.array([[-4.0], [9.0], [5.0]]),
        np.zeros((3, 1)),
        np.array([encode_labels(np.zeros((2, 2), np.int64)), b""], object),
    )
    found = part_sizes(batch("i", IMAGE, rows, [[b"x"], []]), "", IMAGE, 1, PartPlace("i", area=(0, 0, 0.5, 1)))
    np.testing.assert_allclose(found.inside, [[2.0], [0.0]])
    assert found.total.tolist() == [[4.0], [0.0]]


@pytest.mark.parametrize(
    ("place", "kind", "why"),
    [
        (PartPlace("f", words=("a",)), "regions", "these have `area`"),
        (PartPlace("f", area=(0, 0, 1, 1)), "spans", "these have `words`"),
        (PartPlace("f", words=("a",)), "windows", "no such place"),
    ],
)
def test_places_that_parts_do_not_have_are_refused(place: PartPlace, kind: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        place.check(kind)
