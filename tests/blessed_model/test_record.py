"""The record of the last blessed model."""

import pytest

from tfx_explain.blessed_model.record import BlessedModel
from tfx_explain.errors import InputError


def test_what_is_written_last_is_read(tmp_path):
    record = str(tmp_path / "new" / "record.json")
    assert BlessedModel.read(record) is None
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
        last = BlessedModel(str(tmp_path / name), "explanation", "digest")
        last.write(record)
        assert BlessedModel.read(record) == last
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["record.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_uri": "m", "other": "o"}', "\x00"])
def test_another_file_is_no_record(content, tmp_path):
    record = tmp_path / "record.json"
    record.write_text(content)
    with pytest.raises(InputError, match=r"is no record of a blessed model; remove it, or name another file"):
        BlessedModel.read(str(record))


def test_a_model_that_is_gone_is_no_baseline_that_was_never_there(tmp_path):
    record = str(tmp_path / "record.json")
    BlessedModel(str(tmp_path / "gone"), "", "").write(record)
    with pytest.raises(InputError, match=r"gone was the last blessed model, but there is no model; restore it"):
        BlessedModel.read(record)
