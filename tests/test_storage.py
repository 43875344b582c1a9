"""Which files are data, and who may write where."""

import os
from pathlib import Path

import pytest

from tfx_explain import InputError, records, storage


def names(pattern: Path) -> list[str]:
    return [Path(uri.removeprefix("file://")).name for uri in storage.data_files(str(pattern))]


def test_marker_files_are_no_data_unless_they_are_named(tmp_path: Path) -> None:
    for name in ("part-0", "_SUCCESS", ".part-0.crc", "part[1]"):
        (tmp_path / name).touch()
    assert names(tmp_path) == names(tmp_path / "*") == ["part-0", "part[1]"]
    assert names(tmp_path / "_*") == ["_SUCCESS"]
    assert names(tmp_path / ".part-0.crc") == [".part-0.crc"]
    assert names(tmp_path / "part[1]") == ["part[1]"]
    assert names(tmp_path / "nowhere*") == []


def test_names_with_brackets_are_names(tmp_path: Path) -> None:
    (tmp_path / "d[1]").mkdir()
    (tmp_path / "d[1]" / "part-0").touch()
    assert (
        names(tmp_path / "d[1]") == names(tmp_path / "d[1]" / "*") == names(tmp_path / "d[1]" / "part-0") == ["part-0"]
    )


def test_directories_and_links_to_nothing_among_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "part-0").touch()
    (tmp_path / "link").symlink_to(tmp_path / "part-0")
    assert names(tmp_path) == ["link", "part-0"]
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="dead is a link to nothing"):
        names(tmp_path)
    (tmp_path / "dead").unlink()
    (tmp_path / "below").mkdir()
    with pytest.raises(InputError, match="below is a directory among the files"):
        names(tmp_path)


def test_pipes_and_devices_among_files_are_refused_before_anyone_waits_for_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for pattern in (tmp_path, tmp_path / "pipe", tmp_path / "p*"):
        with pytest.raises(InputError, match="pipe is a pipe or a device among the files"):
            names(pattern)
    (tmp_path / "pipe").unlink()
    (tmp_path / "endless").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="endless is a pipe or a device"):
        names(tmp_path)


def test_one_of_two_claims_holds_and_release_leaves_what_is_not_empty(tmp_path: Path) -> None:
    made = storage.claim(str(tmp_path / "a" / "b"), "mark")
    assert made == [str(tmp_path / "a" / "b"), str(tmp_path / "a")]
    with pytest.raises(InputError, match="is not empty"):
        storage.claim(str(tmp_path / "a" / "b"), "mark")
    storage.release(made)
    assert (tmp_path / "a" / "b" / "mark").exists()
    (tmp_path / "a" / "b" / "mark").unlink()
    storage.release(made)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"/dev/full cannot be written \(No space left on device\)"):
        storage.write_bytes("/dev/full", b"content")


def test_a_path_with_a_nul_is_one_sentence(tmp_path: Path) -> None:
    for act in (storage.read_bytes, storage.absolute, lambda uri: storage.claim(uri, "mark"), storage.data_files):
        with pytest.raises(InputError, match="holds a NUL character"):
            act(f"{tmp_path}/a\0b")


def test_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        storage.read_bytes(str(tmp_path))


def test_a_schema_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "schema.pbtxt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not a schema in text form"):
        records.schema_features(str(tmp_path / "schema.pbtxt"))


def test_all_who_read_a_file_in_memory_have_a_position_of_their_own() -> None:
    storage.write_bytes("memory://read/by/two", b"0123456789")
    with storage.open_binary("memory://read/by/two") as one, storage.open_binary("memory://read/by/two") as other:
        assert (one.read(4), other.read(2), one.read(4)) == (b"0123", b"01", b"4567")
    storage.remove("memory://read")


def test_a_file_that_is_moved_is_there_once() -> None:
    storage.write_bytes("memory://moved/a", b"content")
    storage.move("memory://moved/a", "memory://moved/b")
    assert storage.names("memory://moved") == ["b"]
    assert storage.read_bytes("memory://moved/b") == b"content"
    storage.remove("memory://moved")
