"""What reports show of the insides of features over all rows, and of classes."""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd
import pytest

import accessibility
from tfx_explain.regions import decode_image
from tfx_explain.regions.cells import summed
from tfx_explain.report import heat, overview
from tfx_explain.report.data import ReportData
from tfx_explain.report.heat import class_table
from tfx_explain.report.overview import Overview, make_overviews
from tfx_explain.report.render import render_report

OF = {"slice": "overall", "output": "y", "method": "shapley"}


def words(n: int = 40) -> pd.DataFrame:
    """The largest mean is of a word that nothing is known of; others are clear of 0 by how many rows they have."""
    names = ["<b>lucky</b>", "hardly", "good", "bad", *(f"word {place}" for place in range(n))]
    means = [9.0, 3.0, 2.0, -1.0, *np.linspace(0.3, 0.5, n)]
    errors = [5.0, 0.9, 0.1, 0.1, *[0.1] * n]
    counts = [12, 100, 500, 400, *[200] * n]
    figures = {"mean": means, "std_error": errors, "num_examples": counts}
    made = pd.DataFrame({**OF, "feature": "review", "word": names, **figures, "num_left_out": 1_234})
    return pd.concat([made.assign(slice="sex=f", mean=77.0), made], ignore_index=True)


def test_words_are_shown_by_how_clear_of_zero_they_are() -> None:
    (found,) = make_overviews({"words": words()}, ["y"])
    (up, raising), (down, lowering) = found.words
    assert (up, down) == ("Raise the output", "Lower the output")
    assert [row.word for row in lowering] == ["bad"]
    assert raising[0].word == "good"
    assert len(raising) == overview.MAX_WORDS
    assert "<b>lucky</b>" not in {row.word for row in raising}
    assert raising[0].half_width == pytest.approx(0.1 * 1.9647, rel=1e-3)  # Student's t of 499
    assert [row.word for row in raising[1:3]] == ["hardly", "word 39"]
    assert "Of 44 words 43 have" in found.sentences[0]
    assert "1,234 more are rarer" in found.sentences[0]


def series(windows: list[tuple[int, int]], channels: list[int]) -> pd.DataFrame:
    places = [(*window, channel) for window in windows for channel in channels]
    columns = dict(zip(("start", "stop", "channel"), np.array(places).T, strict=True))
    means = np.linspace(-1, 2, len(places))
    figures = {"mean": means, "std_error": 0.25, "mean_abs": np.abs(means), "num_examples": 30, "num_left_out": 0}
    return pd.DataFrame({**OF, "feature": "series", **columns, **figures})


def test_windows_and_channels_are_a_shaded_table() -> None:
    (found,) = make_overviews({"series": series([(0, 1), (1, 4), (0, -1), (-1, -1)], [0, 2])}, ["y"])
    (table,) = found.tables
    assert table.columns == ("channel 0", "channel 2")
    assert [name for name, _ in table.rows] == ["all steps", "step 0", "steps 1–3", "number of steps"]
    cells = dict(table.rows)["step 0"]
    assert [(cell.text, cell.level, cell.sign) for cell in cells] == [("−1", 2, "minus"), ("−0.571", 1, "minus")]
    assert cells[0].note == "± 0.51, 30 rows"
    assert dict(table.rows)["number of steps"][1].level == heat.LEVELS


def test_the_largest_windows_are_shown_in_their_order() -> None:
    many = series([(start, start + 2) for start in range(0, 60, 2)], [-1])
    (found,) = make_overviews({"series": many.assign(num_left_out=5)}, ["y"])
    (table,) = found.tables
    assert table.columns == ("all channels",)
    assert len(table.rows) == overview.MAX_WINDOWS
    starts = [int(name.split(" ")[1].split("–")[0]) for name, _ in table.rows]
    assert starts == sorted(starts)
    assert 58 in starts
    assert f"{30 - overview.MAX_WINDOWS + 5} more windows" in table.more


def images(mean: np.ndarray, noise: float = 0.0) -> dict[str, pd.DataFrame]:
    row, column = np.indices(mean.shape)
    of = {**OF, "method": "xrai", "feature": "image", "num_examples": 30, "num_left_out": 2}
    cells = {"row": row.ravel(), "column": column.ravel(), "mean": mean.ravel(), "mean_abs": np.abs(mean).ravel()}
    measures = [("share", 1, 0.6), ("share", 2, 0.4), ("area", 1, 0.1), ("area", 2, 0.9), ("half_area", 0, 0.083)]
    measures += [("num_regions", 0, 2.0), ("noise", 0, noise)]
    regions = pd.DataFrame(measures, columns=["measure", "rank", "mean"]).assign(std_error=0.01, **of)
    return {"image_maps": pd.DataFrame({**of, **cells}), "regions": regions}


def test_maps_are_pictures_and_figures() -> None:
    mean = np.zeros((4, 6))
    mean[0, 0], mean[3, 5] = 3.0, -1.0
    (found,) = make_overviews(images(mean), ["y"])
    assert len(found.pictures) == 2
    signed, sizes = (decode_image(base64.b64decode(uri.partition(",")[2])) for uri in found.pictures.values())
    assert signed.shape == sizes.shape == (4 * 32, 6 * 32, 3)
    light = signed.astype(float).sum(axis=2)
    assert light[0, 0] > light[64, 64] > light[-1, -1]
    assert sizes.astype(float).sum(axis=2).argmax() == 0
    where, ranks = found.tables
    assert [(name, [cell.text for cell in cells]) for name, cells in where.rows] == [
        ("top", ["75.0 %", "0.0 %", "0.0 %"]),
        ("middle", ["0.0 %", "0.0 %", "0.0 %"]),
        ("bottom", ["0.0 %", "0.0 %", "25.0 %"]),
    ]
    assert [cell.text for cell in ranks.rows[0][1]] == ["60.0 %", "40.0 %"]
    said = " ".join(found.sentences)
    assert "Over 30 images. 2 images of other sizes" in said
    assert "lies on 8.3 % of an image's area (± 2.0 %)" in said
    assert "Errors alone" not in said
    (noisy,) = make_overviews(images(mean, noise=0.4), ["y"])
    assert "Errors alone would make 40.0 %" in " ".join(noisy.sentences)


def test_thirds_share_what_lies_between_them() -> None:
    values = np.random.default_rng(0).random((7, 32))
    found = summed(values, 3, 3)
    fine = np.repeat(np.repeat(values, 3, axis=0), 3, axis=1) / 9
    expected = fine.reshape(3, 7, 3, 32).sum(axis=(1, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert [len(table.rows) for table in make_overviews(images(np.ones((1, 2))), ["y"])[0].tables] == [1, 2]


def importance(outputs: list[str], n_players: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(n_players), len(outputs))
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "slice": "overall",
                    "output": output,
                    "player": [f"feature {place}" for place in range(n_players)],
                    "value": of_output,
                    "share": of_output,
                    "rank": np.argsort(np.argsort(-of_output)) + 1,
                }
            )
            for output, of_output in zip(outputs, shares, strict=True)
        ],
        ignore_index=True,
    )


def test_classes_stand_beside_each_other() -> None:
    outputs = [f"class {place}" for place in range(heat.MAX_CLASSES + 2)]
    table = class_table(importance(outputs, 20), outputs)
    assert table is not None
    assert [output for output, _ in table.rows] == outputs[: heat.MAX_CLASSES]
    assert len(table.columns) == heat.MAX_FEATURES
    assert table.more == "Not shown: 2 more classes and 10 more features."
    own = importance(outputs, 20).set_index(["player", "output"])["share"]
    for output, cells in table.rows:
        for player, cell in zip(table.columns, cells, strict=True):
            assert cell.text == heat.percent(own[player, output])
    top = own.idxmax()
    assert table.columns[0] == top[0]
    assert max(cell.level for _, cells in table.rows for cell in cells) <= heat.LEVELS
    assert class_table(importance(outputs[:2], 3), outputs[:2]) is None


def test_pages_show_all_of_it_and_escape_words() -> None:
    outputs = ["a", "b", "c"]
    frames = {"words": words(1).assign(output="a", std_error=0.01), **images(np.eye(3))}
    frames |= {name: frame.assign(output="b") for name, frame in frames.items() if name != "words"}
    page = render_report(ReportData({"outputs": outputs}, importance(outputs, 3), parts=frames))
    assert accessibility.faults(page) == []
    assert "<b>lucky" not in page
    assert "&lt;b&gt;lucky&lt;/b&gt;" in page
    assert "Class by class" in page
    assert "Inside review over all rows: a (Shapley values)" in page
    assert "Inside image over all rows: b (XRAI)" in page
    assert page.count("Mean map of image") == 2


def test_no_tables_are_no_sections() -> None:
    assert make_overviews({}, ["y"]) == []
    nothing = words().iloc[:0]
    assert make_overviews({"words": nothing, "series": None}, ["y"]) == []
    assert isinstance(make_overviews({"words": words()}, ["y"])[0], Overview)
