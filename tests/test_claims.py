"""One run at a time writes into a directory, and an empty one does not stay."""

from pathlib import Path

import pytest

from tfx_explain.claims import claimed
from tfx_explain.errors import InputError
from tfx_explain.unfinished import undo_all


def test_a_claimed_directory_is_nobody_elses_and_goes_where_it_stays_empty(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with claimed(str(out), ["rows"]):
        (out / "rows").mkdir()
        with pytest.raises(InputError, match="is not empty"), claimed(str(out)):
            pass
    assert not list(tmp_path.iterdir())
    with claimed(str(out)):
        (out / "made").write_text("")
    assert [path.name for path in out.iterdir()] == ["made"]


def test_what_is_claimed_is_released_when_the_process_ends_in_the_middle(tmp_path: Path) -> None:
    with claimed(str(tmp_path / "out")):
        undo_all()
        assert not list(tmp_path.iterdir())
