"""Storage that is unknown, not installed, gone or slow: one sentence each, and soon."""

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest

from tfx_explain import InputError, filesystems, storage


class Odd(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A storage whose library raises errors of its own."""

    protocol = "odd"
    cachable = False
    raised: Any = None

    def info(self, path: str, **_: Any) -> Any:
        self.ask()
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        self.ask()
        return []

    def cat_file(self, path: str, **_: Any) -> bytes:
        self.ask()
        return b""

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        self.ask()

    def ask(self) -> None:
        if callable(Odd.raised):
            Odd.raised()
        elif Odd.raised is not None:
            raise Odd.raised


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Odd]]:
    fsspec.register_implementation("odd", Odd, clobber=True)
    monkeypatch.setattr(filesystems, "_ANSWERED", set())
    monkeypatch.setattr(filesystems, "_SILENT_UNTIL", {})
    yield Odd
    Odd.raised = None


def test_places_are_told_apart_by_protocol_and_bucket() -> None:
    assert storage.place("/a/b") == storage.place("a") == storage.place("file:///a") == storage.place("local://a")
    assert storage.place("s3a://bucket/a") == storage.place("s3://bucket") == ("s3", "bucket")
    assert storage.place("gcs://bucket/a") == storage.place("gs://bucket/b")
    assert storage.place("memory://a/b") == storage.place("memory:///c")
    assert len({storage.place(uri) for uri in ("/a", "s3://a", "gs://a", "s3://b", "memory://a")}) == 5


def test_an_unknown_scheme_is_one_sentence() -> None:
    assert not storage.is_known("models://forest/1")
    assert storage.is_known("s3://bucket/model")
    with pytest.raises(InputError, match=r"models://forest/1 is on no storage known here .*; check what is before"):
        storage.exists("models://forest/1")


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "_ANSWERED", set())
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"s3://bucket/a needs a package .* pip install 'tfx-explain\[s3\]'"):
        storage.read_bytes("s3://bucket/a")


def test_errors_of_any_library_are_one_sentence(odd: type[Odd]) -> None:
    odd.raised = RuntimeError("no credentials\nsee the manual")
    with pytest.raises(InputError, match=r"^odd://a/b cannot be reached \(no credentials\); check the name"):
        storage.read_bytes("odd://a/b")
    odd.raised = None
    assert storage.read_bytes("odd://a/b") == b""
    odd.raised = RuntimeError("gone")
    with pytest.raises(InputError, match=r"^odd://a/b cannot be read \(gone\)"):
        storage.read_bytes("odd://a/b")
    with pytest.raises(InputError, match=r"^odd://a/b cannot be written \(gone\)"):
        storage.write_bytes("odd://a/b", b"")
    with pytest.raises(OSError, match="gone"), filesystems.os_errors("odd://a/b"):
        odd.ask(odd())


def test_a_place_that_may_not_be_written_is_one_sentence(odd: type[Odd]) -> None:
    odd.raised = PermissionError(13, "Access Denied")
    with pytest.raises(InputError, match=r"^odd://a/b/mark cannot be written \(Access Denied\)"):
        storage.claim("odd://a/b", "mark")
    with pytest.raises(InputError, match=r"^odd://a/b cannot be read \(Access Denied\)"):
        storage.read_bytes("odd://a/b")


def test_a_storage_that_does_not_answer_is_waited_for_no_longer_than_is_said(
    odd: type[Odd], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    odd.raised = over.wait
    monkeypatch.setattr(filesystems, "_SECONDS_TO_ANSWER", 0.05)
    with pytest.raises(InputError, match=r"odd://a/b does not answer within 0 s"):
        storage.claim("odd://a/b", "mark")
    over.set()


def test_a_storage_that_no_longer_answers_is_not_asked_for_each_file_again(
    odd: type[Odd], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def fail() -> None:
        asked.append(time.monotonic())
        raise RuntimeError("Could not connect to the endpoint")

    assert storage.read_bytes("odd://a/b") == b""
    odd.raised = fail
    for _ in range(2):  # whoever is told at once may ask again
        with pytest.raises(InputError, match=r"odd://a/b cannot be written \(Could not connect"):
            storage.write_bytes("odd://a/b", b"")
    monkeypatch.setattr(filesystems, "_SECONDS_TO_CONNECT", 0.0)
    with pytest.raises(InputError, match="cannot be read"):
        storage.read_bytes("odd://a/b")
    n = len(asked)
    for act in (storage.remove, storage.exists, storage.names, storage.find):
        with pytest.raises(InputError, match=r"odd://a/c cannot be reached: its storage no longer answers"):
            act("odd://a/c")
    assert len(asked) == n
    assert storage.place("odd://other") not in filesystems._SILENT_UNTIL
    monkeypatch.setattr(filesystems, "_SILENT_UNTIL", {("odd", "a"): time.monotonic()})
    odd.raised = None
    assert storage.read_bytes("odd://a/b") == b""


def test_nothing_is_kept_of_what_a_storage_held() -> None:
    fsspec.filesystem("memory").pipe_file("/kept/a", b"1")
    assert storage.names("memory://kept") == ["a"]
    fsspec.filesystem("memory").pipe_file("/kept/b", b"1")
    assert storage.names("memory://kept") == ["a", "b"]
    storage.remove("memory://kept")
