"""What is undone when a process ends in the middle."""

from tfx_explain.unfinished import undo_all, unfinished


def test_what_is_unfinished_is_undone_the_last_first_and_whatever_fails() -> None:
    undone: list[str] = []

    def fail() -> None:
        undone.append("fails")
        raise OSError

    with unfinished(lambda: undone.append("first")), unfinished(fail):
        with unfinished(lambda: undone.append("finished")):
            pass
        undo_all()
    undo_all()
    assert undone == ["fails", "first"]
