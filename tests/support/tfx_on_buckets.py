"""TFX's own files on what fsspec knows: TFX hands `s3://` to TensorFlow, which has not known it for years."""

from collections.abc import Callable, Iterable
from typing import Any

from tfx.dsl.io import filesystem, filesystem_registry

from tfx_explain.filesystems import filesystem_of


class BucketFilesystem(filesystem.Filesystem):
    """As `tfx.dsl.io.filesystem.Filesystem` says; buckets have no directories, so that none are made."""

    SUPPORTED_SCHEMES = ["s3://", "memory://"]

    @staticmethod
    def open(name: str, mode: str = "r") -> Any:
        files, path = filesystem_of(name)
        return files.open(path, mode)

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        if not overwrite and BucketFilesystem.exists(dst):
            raise OSError(f"{dst} is there already")
        with BucketFilesystem.open(src, "rb") as source, BucketFilesystem.open(dst, "wb") as target:
            target.write(source.read())

    @staticmethod
    def exists(path: str) -> bool:
        files, inside = filesystem_of(path)
        return bool(files.exists(inside))

    @staticmethod
    def glob(pattern: str) -> list[str]:
        files, path = filesystem_of(pattern)
        return [files.unstrip_protocol(found) for found in files.glob(path)]

    @staticmethod
    def isdir(path: str) -> bool:
        files, inside = filesystem_of(path)
        return bool(files.isdir(inside))

    @staticmethod
    def listdir(path: str) -> list[str]:
        files, inside = filesystem_of(path)
        return [name.rstrip("/").rpartition("/")[2] for name in files.ls(inside, detail=False)]

    @staticmethod
    def makedirs(path: str) -> None:
        pass

    @staticmethod
    def mkdir(path: str) -> None:
        pass

    @staticmethod
    def remove(path: str) -> None:
        files, inside = filesystem_of(path)
        files.rm_file(inside)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        BucketFilesystem.copy(src, dst, overwrite)
        BucketFilesystem.remove(src)

    @staticmethod
    def rmtree(path: str) -> None:
        files, inside = filesystem_of(path)
        # A directory that nothing was written into is not there.
        if files.exists(inside):
            files.rm(inside, recursive=True)

    @staticmethod
    def stat(path: str) -> Any:
        files, inside = filesystem_of(path)
        return files.info(inside)

    @staticmethod
    def walk(
        top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        files, inside = filesystem_of(top)
        for root, directories, names in files.walk(inside, topdown=topdown):
            yield files.unstrip_protocol(root), list(directories), list(names)


def register() -> None:
    """Lets TFX's components and runners use it in this process."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(BucketFilesystem, priority=5)
