"""TFMA's own metrics of attributions, of the records of an explanation."""

import sys
from pathlib import Path

import pytest

import interop
from tfx_explain.reader import ExplanationReader

# TFMA 0.52 is imported whole only where TFX was before: its own import passes over errors.
pytest.importorskip("tfx.v1", reason="TFMA comes with TFX")


@pytest.mark.filterwarnings("ignore")  # of TFMA's and Beam's own
def test_metrics_are_the_importance(explanation: ExplanationReader, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(explanation.uri).parent
    (root / "attribution_extractor.py").write_text(interop.program("attribution_extractor.py"))
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(root)
    ran: dict[str, object] = {}
    exec(interop.nameless_program(), ran)
    del sys.modules["attribution_extractor"]
    found = {slice_key: of_output[""][""] for slice_key, of_output in ran["evaluation"].attributions}
    assert len(found) == 3
    for slice_key, metrics in found.items():
        name = "=".join(slice_key[0]) if slice_key else "overall"
        expected = explanation.importance_for(slice=name).set_index("player")["value"]
        mean = metrics["mean_absolute_attributions"]
        assert {player: value["doubleValue"] for player, value in mean.items()} == pytest.approx(dict(expected))
    rows = explanation.attributions()
    total = found[()]["total_attributions"]
    assert total["income"]["doubleValue"] == pytest.approx(rows["attribution_income"].sum())
