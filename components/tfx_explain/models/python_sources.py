"""The Python files beside a module file that it imports: which they are, and that they are read as they are now.

They may be on any storage; Python imports copies of those that are not on this machine. It keeps what a process has
imported, and bytecode by the second and size of its source. Either may be older than the file, so a model could be
loaded by other code than its digest tells of.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.machinery
import os
import sys
import time
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec

from tfx_explain import storage
from tfx_explain.fetched import Fetched, directory_of, fetch, fetch_files

_OURS = __name__.partition(".")[0]
_STARTED = time.time()

_READ: dict[str, tuple[str, bytes]] = {}
"""Module -> the file it was made of, and the SHA-256 of its content then; of modules that were imported here."""


def imported_beside(module_file: str) -> list[str]:
    """The files in a module file's directory that its import statements lead to, sorted, itself left out.

    Only names that are written out can be followed; nothing where the file cannot be read here.
    """
    directory = os.path.dirname(os.path.abspath(module_file))
    files: set[str] = set()
    todo = [os.path.abspath(module_file)]
    while todo:
        path = todo.pop()
        new = {beside for name in _imported_names(path, directory) for beside in _files_of(name, directory)} - files
        todo.extend(new)
        files |= new
    return sorted(files - {os.path.abspath(module_file)})


def fetch_sources(module_file: str) -> Fetched:
    """A module file with the files beside it that its import statements lead to.

    Raises:
      InputError: it cannot be read.
    """
    if storage.is_local(module_file):
        return fetch(module_file)
    directory = directory_of(module_file)
    name = module_file.removeprefix(directory)
    there = set(storage.names(directory))
    found, todo = {name}, [name] if name in there else []
    while todo:
        source = storage.read_bytes(storage.join(directory, current := todo.pop()))
        names = {path for imported in _names_imported_by(source, current) for path in _candidates(imported)}
        near = {path for path in names - found if {path.split("/")[0], path.split("/")[0] + "/"} & there}
        new = {path for path in near if storage.is_file(storage.join(directory, path))}
        todo.extend(new)
        found |= new
    return fetch_files(directory, found if name in there else (), module_file)


def _imported_names(path: str, directory: str) -> Iterator[str]:
    """As `_names_imported_by`, of a file in a directory; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError:
        return
    yield from _names_imported_by(source, os.path.relpath(path, directory))


def _names_imported_by(source: bytes, path: str) -> Iterator[str]:
    """Dotted names that a file imports; of `from a import b` also `a.b`, which may be a module.

    Args:
      source: its content.
      path: where it is, from the directory of the module file.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    package = (os.path.dirname(path) or ".").replace(os.sep, ".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*(part for part in above if part), *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files_of(name: str, directory: str) -> Iterator[str]:
    """The files of a module, and of the packages it is in, that are in the directory."""
    yield from (path for part in _candidates(name) if os.path.isfile(path := os.path.join(directory, part)))


def _candidates(name: str) -> Iterator[str]:
    """Where a module, and the packages it is in, may be."""
    parts = name.split(".")
    if not name or parts[0] == _OURS:
        return
    for n in range(1, len(parts) + 1):
        stem = os.path.join(*parts[:n])
        yield from (f"{stem}.py", os.path.join(stem, "__init__.py"))


def sources_read_anew(module_file: str) -> SourcesBeside:
    """What finds the modules beside a module file, made of the files as they are.

    Modules of an earlier version are forgotten first. Those that somebody else imported are left where their files
    have not changed since this process began.
    """
    directory = os.path.dirname(os.path.abspath(module_file))
    _forget_of_others(directory)
    _forget_changed(set(imported_beside(module_file)) | {path for path, _ in _READ.values()})
    importlib.invalidate_caches()
    return SourcesBeside(directory)


def _forget_of_others(directory: str) -> None:
    """Forgets modules from beside another module file that have the names of files beside this one."""
    for name, (path, _) in list(_READ.items()):
        if not path.startswith(directory + os.sep) and any(_files_of(name, directory)):
            sys.modules.pop(name, None)
            del _READ[name]


def _forget_changed(paths: set[str]) -> None:
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path is None or os.path.abspath(path) not in paths or name == "__main__":
            continue
        known = _READ.get(name)
        if known is None:
            with contextlib.suppress(OSError):
                status = os.stat(path)
                if max(status.st_mtime, status.st_ctime) < _STARTED - 1:
                    continue
        elif known == (os.path.abspath(path), _sha256(path)):
            continue
        del sys.modules[name]
        _READ.pop(name, None)


def _sha256(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).digest()
    except OSError:
        return b""


class SourcesBeside:
    """Finds modules whose outermost package is directly in a directory, as Python would, but for bytecode.

    Attributes:
      directory: which one.
      read: path -> SHA-256 of the files that were imported, filled in as they are.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.read: dict[str, bytes] = {}

    @contextlib.contextmanager
    def found(self) -> Iterator[None]:
        """While this lasts, import statements find what is in the directory, those inside functions too."""
        _forget_of_others(self.directory)
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python asks this for each module that it has not imported."""
        top = os.path.join(self.directory, name.partition(".")[0])
        if not (os.path.isfile(top + ".py") or os.path.isdir(top)) or name.partition(".")[0] == _OURS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None and path is None:
            spec = importlib.machinery.PathFinder.find_spec(name, [self.directory], target)
        origin = None if spec is None or spec.origin is None else os.path.abspath(spec.origin)
        if spec is None or origin is None or not (origin == top + ".py" or origin.startswith(top + os.sep)):
            return None
        if type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(name, origin, self.read)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the file itself, whatever bytecode there is of it."""

    def __init__(self, name: str, path: str, read: dict[str, bytes]) -> None:
        super().__init__(name, path)
        self._read = read

    def get_code(self, fullname: str) -> types.CodeType:
        """The code of the file as it is."""
        source = self.get_data(self.path)
        self._read[self.path] = hashlib.sha256(source).digest()
        _READ[fullname] = (self.path, self._read[self.path])
        code: types.CodeType = self.source_to_code(source, self.path)
        return code
