"""The breakages of files, one function each: of examples, models, module files, outputs, schemas and configurations."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import json
import lzma
import os
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf


@dataclasses.dataclass
class Run:
    """One run on broken files.

    Attributes:
      place: where they are.
      records: good rows.
      arguments: of `explain`, as far as they are not the usual ones.
      seed: chooses what is flipped.
      config: keys of the configuration.
      n_rows: how many rows the files hold that can still be counted.
      may_refuse: whether one sentence is an answer.
      must_refuse: whether it is the only one.
      written: where the explanation went, if it went anywhere.
      act: what is done instead of an explanation.
      afterwards: what is to be ended or undone.
    """

    place: Path
    records: list[bytes]
    arguments: dict[str, Any]
    seed: int
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    n_rows: int = 0
    may_refuse: bool = True
    must_refuse: bool = False
    written: str = ""
    act: Callable[[Run, Any], None] | None = None
    afterwards: list[Callable[[], None]] = dataclasses.field(default_factory=list)

    def shard(self, name: str, content: bytes | None, n_rows: int = 0) -> Path:
        """A file among the examples, and how many rows there are to account for in it."""
        path = self.place / "examples" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        self.n_rows += n_rows
        return path

    def good_shard(self) -> None:
        """A shard in order, so that the others do not make up the whole split."""
        self.shard("data-00000-of-00002.gz", gzip.compress(framed(self.records)), len(self.records))


Breakage = Callable[[Run], None]
ALL: dict[str, Breakage] = {}
"""What is broken -> what breaks it."""


def _breaks(what: str) -> Callable[[Breakage], Breakage]:
    def note(function: Breakage) -> Breakage:
        ALL[what] = function
        return function

    return note


def framed(records: Sequence[bytes]) -> bytes:
    """The bytes of an uncompressed TFRecord file."""
    options = tf.io.TFRecordOptions(compression_type="")
    path = f"/tmp/fuzz-framed-{os.getpid()}-{threading.get_ident()}"
    with tf.io.TFRecordWriter(path, options) as writer:
        for record in records:
            writer.write(record)
    content = Path(path).read_bytes()
    os.unlink(path)
    return content


# --- examples -------------------------------------------------------------------------------------------------------


def _shards(what: str, name: str, change: Callable[[bytes, np.random.Generator], bytes], **expect: Any) -> None:
    """One bad shard beside a good one, and the same alone."""

    def beside(run: Run) -> None:
        run.good_shard()
        content = change(framed(run.records[:20]), np.random.default_rng(run.seed))
        run.shard(name, content, expect.get("n_rows", 0))
        run.may_refuse = expect.get("may_refuse", True)

    def alone(run: Run) -> None:
        run.shard(name, change(framed(run.records[:20]), np.random.default_rng(run.seed)), expect.get("n_rows", 0))

    ALL[f"{what}, beside a good shard"] = beside
    ALL[f"{what}, alone"] = alone


def _flip(content: bytes, low: int, high: int, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[int(rng.integers(low, high))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"age": [1.0, 2.0]}), sink)
    return sink.getvalue()


_shards("an empty file", "data-00001-of-00002", lambda c, rng: b"", may_refuse=False)
_shards("an empty gzip", "data-00001-of-00002.gz", lambda c, rng: gzip.compress(b""), may_refuse=False)
_shards("0 bytes named gz", "data-00001-of-00002.gz", lambda c, rng: b"")
_shards("a gzip cut off", "data-00001-of-00002.gz", lambda c, rng: gzip.compress(c)[: int(rng.integers(1, 400))])
_shards("a gzip with a flipped bit", "data-1.gz", lambda c, rng: _flip(gzip.compress(c), 10, 500, rng))
_shards("a plain file named gz", "data-1.gz", lambda c, rng: c, n_rows=20, may_refuse=False)
_shards("a gzip not named so", "data-1", lambda c, rng: gzip.compress(c), n_rows=20, may_refuse=False)
_shards("two gzip members", "data-1.gz", lambda c, rng: gzip.compress(c) * 2, n_rows=40, may_refuse=False)
_shards("a gzip with a tail", "data-1.gz", lambda c, rng: gzip.compress(c) + b"tail", n_rows=20)
_shards("bz2", "data-1.bz2", lambda c, rng: bz2.compress(c))
_shards("xz", "data-1.xz", lambda c, rng: lzma.compress(c))
_shards("zstd", "data-1.zst", lambda c, rng: b"\x28\xb5\x2f\xfd" + c)
_shards("a flipped length", "data-1", lambda c, rng: _flip(c, 0, 8, rng))
_shards("a flipped crc of a length", "data-1", lambda c, rng: _flip(c, 8, 12, rng))
_shards("a flipped bit of data", "data-1", lambda c, rng: _flip(c, 12, 60, rng), n_rows=20)
_shards("half a header at the end", "data-1", lambda c, rng: c + c[:7], n_rows=20)
_shards("half a record at the end", "data-1", lambda c, rng: c[:-9], n_rows=19)
_shards("a huge length", "data-1", lambda c, rng: struct.pack("<Q", 2**62) + c[8:])
_shards("a length of 3 GB", "data-1", lambda c, rng: struct.pack("<Q", 3 * 2**30) + c[8:])
_shards("text", "notes.txt", lambda c, rng: b"these are no records\n" * 50)
_shards("a CSV", "data.csv", lambda c, rng: b"age,income\n1,2\n3,4\n")
_shards("a Parquet file", "data.parquet", lambda c, rng: _parquet())
_shards("a TFRecord of noise", "data-1", lambda c, rng: framed([rng.bytes(30) for _ in range(9)]), n_rows=9)
_shards("a TFRecord of empty records", "data-1", lambda c, rng: framed([b""] * 5), n_rows=5)
_shards("noise", "data-1", lambda c, rng: rng.bytes(3_000))


@_breaks("a directory among the shards")
def _directory(run: Run) -> None:
    run.good_shard()
    run.shard("more/data", framed(run.records[:3]))


@_breaks("a link to nothing among the shards")
def _dangling(run: Run) -> None:
    run.good_shard()
    run.shard("data-2", None).symlink_to(run.place / "gone")


@_breaks("a link that leads to itself")
def _circle(run: Run) -> None:
    run.good_shard()
    path = run.shard("data-2", None)
    path.symlink_to(path)


@_breaks("hidden files and markers")
def _hidden(run: Run) -> None:
    run.good_shard()
    for name in ("_SUCCESS", ".data.crc", ".hidden"):
        run.shard(name, b"no records")
    run.may_refuse = False


@_breaks("a pipe that nobody writes to")
def _pipe(run: Run) -> None:
    run.good_shard()
    os.mkfifo(run.shard("data-2", None))


@_breaks("a link to a device without end")
def _device(run: Run) -> None:
    run.good_shard()
    run.shard("data-2", None).symlink_to("/dev/zero")


@_breaks("a file that nobody may read")
def _unreadable(run: Run) -> None:
    run.good_shard()
    run.shard("data-2", framed(run.records[:3]), 3).chmod(0)


@_breaks("a name with brackets and blanks")
def _brackets(run: Run) -> None:
    run.shard("data [1] ?.gz", gzip.compress(framed(run.records)), len(run.records))
    run.may_refuse = False


@_breaks("no file at all")
def _none(run: Run) -> None:
    run.must_refuse = True


@_breaks("examples that are one file")
def _one_file(run: Run) -> None:
    run.arguments["examples"] = run.shard("part [0]", framed(run.records), len(run.records))
    run.may_refuse = False


@_breaks("a background of noise")
def _background(run: Run) -> None:
    run.good_shard()
    (run.place / "background").write_bytes(b"noise" * 100)
    run.arguments["background"] = str(run.place / "background")
    run.must_refuse = True


@_breaks("a schema that is none")
def _schema(run: Run) -> None:
    run.good_shard()
    (run.place / "schema.pbtxt").write_bytes(b"\xff\xfe{{{ no schema")
    run.arguments["schema"] = str(run.place / "schema.pbtxt")
    run.must_refuse = True


@_breaks("a schema that is a directory")
def _schema_directory(run: Run) -> None:
    run.good_shard()
    (run.place / "schema").mkdir()
    run.arguments["schema"] = str(run.place / "schema")
    run.must_refuse = True


# --- models ---------------------------------------------------------------------------------------------------------


def _model(what: str, change: Callable[[Path, np.random.Generator], None], *, must_refuse: bool = True) -> None:
    def broken(run: Run) -> None:
        run.good_shard()
        change(Path(run.arguments["model"]), np.random.default_rng(run.seed))
        run.must_refuse = must_refuse

    ALL[what] = broken


def _rewrite(name: str, change: Callable[[bytes, np.random.Generator], bytes]) -> Callable[[Path, Any], None]:
    return lambda model, rng: (model / name).write_bytes(change((model / name).read_bytes(), rng)) and None


def _replaced_by_file(model: Path, rng: np.random.Generator) -> None:
    model.rename(model.parent / "moved")
    model.write_bytes(b"no directory")


def _only_directory(model: Path, rng: np.random.Generator) -> None:
    model.rename(model.parent / "moved")
    model.mkdir()


_model("a model that is not there", lambda model, rng: model.rename(model.parent / "moved") and None)
_model("a model that is a file", _replaced_by_file)
_model("a model directory without a model", _only_directory)
_model("a graph cut off", _rewrite("saved_model.pb", lambda c, rng: c[: len(c) // 2]))
_model("a graph of 0 bytes", _rewrite("saved_model.pb", lambda c, rng: b""))
_model("a graph of noise", _rewrite("saved_model.pb", lambda c, rng: rng.bytes(len(c))))
_model("variables gone", lambda model, rng: [p.unlink() for p in (model / "variables").iterdir()] and None)
for _at in range(6):
    _flips = _rewrite("saved_model.pb", lambda c, rng: _flip(c, 0, len(c), rng))
    _model(f"a graph with a flipped bit ({_at})", _flips, must_refuse=False)

_START = 'import numpy as np\nFEATURES = {"age": "float32", "income": "float32"}\n'
_LOADS = _START + "def load_model(model_dir):\n    return lambda columns: "


def _module(what: str, source: str, *, must_refuse: bool = True) -> None:
    def broken(run: Run) -> None:
        run.good_shard()
        run.n_rows = len(run.records)
        (run.place / "module.py").write_text(source)
        run.config = {"model": {"module_file": str(run.place / "module.py")}}
        run.must_refuse = must_refuse

    ALL[what] = broken


_module("a module file with a syntax error", "def load_model(:\n")
_module("a module file with a NUL", "x = 1\x00\n")
_module("a module file that exits", "import sys\nsys.exit(3)\n")
_module("a module file that raises", "raise RuntimeError('two\\nlines')\n")
_module("a module file that is empty", "")
_module("a module file whose load_model exits", _START + "def load_model(d):\n    raise SystemExit(2)\n")
_module("a module file whose load_model gives nothing", _START + "def load_model(d):\n    return None\n")
_module("a module file whose load_model takes nothing", _START + "def load_model():\n    return None\n")
_module("a module whose features are none", "FEATURES = 3\ndef load_model(d):\n    return len\n")
_module("a module whose features have odd types", "FEATURES = {'age': 7}\ndef load_model(d):\n    return len\n")
_module("a module whose feature has no name", "FEATURES = {3: 'float32'}\ndef load_model(d):\n    return len\n")
_module("a model that exits", _LOADS + "exit(4)\n")
_module("a model of too few outputs", _LOADS + "columns['age'][:1]\n")
_module("a model of one number", _LOADS + "3.0\n")
_module("a model of text", _LOADS + "np.array(['a'] * len(columns['age']))\n")
_module("a model of nothing", _LOADS + "None\n")
_module("a model of three dimensions", _LOADS + "np.zeros((len(columns['age']), 2, 2))\n")
_module("a model of no outputs", _LOADS + "np.zeros((len(columns['age']), 0))\n")
_module("a model of complex numbers", _LOADS + "columns['age'] * 1j\n")
_module("a model of lists", _LOADS + "[[1.0]] * len(columns['age'])\n", must_refuse=False)
_module("a model of infinity", _LOADS + "columns['age'] * np.inf\n", must_refuse=False)
_module("a model of NaN", _LOADS + "columns['age'] * np.nan\n", must_refuse=False)
_module("a model that raises", _LOADS + "columns['no such']\n")
_module("a model that prints", _LOADS + "print('x' * 100_000) or columns['age']\n", must_refuse=False)
_module("a model that changes its input", _LOADS + "columns['age'].__imul__(2)\n", must_refuse=False)
_module("a model whose width changes", _LOADS + "np.zeros((len(columns['age']), 1 + (len(columns['age']) > 2)))\n")


@_breaks("a module file that is not there")
def _no_module(run: Run) -> None:
    run.good_shard()
    run.config = {"model": {"module_file": str(run.place / "gone.py")}}
    run.must_refuse = True


@_breaks("a module file that is a directory")
def _module_directory(run: Run) -> None:
    run.good_shard()
    (run.place / "module.py").mkdir()
    run.config = {"model": {"module_file": str(run.place / "module.py")}}
    run.must_refuse = True


# --- outputs --------------------------------------------------------------------------------------------------------


def _output(what: str, name: str, make: Callable[[Path], Any], *, must_refuse: bool = True) -> None:
    def broken(run: Run) -> None:
        run.good_shard()
        make(run.place / "kept")
        run.arguments["output_dir"] = str(run.place / name)
        run.must_refuse = must_refuse

    ALL[what] = broken


def _full(path: Path) -> None:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "thesis.tex").write_text("years of work")
    (path / ".hidden").write_text("more")


def _file(path: Path) -> None:
    path.write_text("a file of the user's")


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


_output("an output that is a file", "kept", _file)
_output("an output beneath a file", "kept/out", _file)
_output("an output that is full", "kept", _full)
_output("an output that is a link to nothing", "kept", lambda path: _link(path, "/nonexistent/place"))
_output("an output that is a link to itself", "kept", lambda path: _link(path, str(path)))
_output(
    "an output that is a link to a full directory",
    "kept",
    lambda path: (_full(path.parent / "full"), _link(path, "full")),
)
_output("an output that is a device", "kept", lambda path: _link(path, "/dev/null"))
_output("an output that cannot be", "kept", lambda path: _link(path, "/proc/1/none"))
_output("an output with brackets", "out [1]", lambda path: None, must_refuse=False)
_output("an output with a NUL", "out\x00", lambda path: None)
_output("an output of a long name", "o" * 300, lambda path: None)
_output("an output in memory of nobody", "/dev/full/out", lambda path: None)


@_breaks("an output inside the model")
def _inside_model(run: Run) -> None:
    run.good_shard()
    run.arguments["output_dir"] = str(Path(run.arguments["model"]) / "out")


@_breaks("an output inside the examples")
def _inside_examples(run: Run) -> None:
    run.good_shard()
    run.arguments["output_dir"] = str(run.place / "examples" / "out")


# --- configurations and explanations --------------------------------------------------------------------------------


def _reading(what: str, make: Callable[[Path], Any]) -> None:
    def broken(run: Run) -> None:
        from fuzzing.files import read

        make(run.place / "kept")
        run.act = lambda run, result: read(run, result, str(run.place / "kept"))

    ALL[what] = broken


_reading("an explanation that is a file", _file)
_reading("an explanation that is a full directory", _full)
_reading("an explanation that is a link to itself", lambda path: _link(path, str(path)))
_reading("an explanation that is a device", lambda path: _link(path, "/dev/zero"))


def _configured(what: str, make: Callable[[Path], Any]) -> None:
    def broken(run: Run) -> None:
        from fuzzing.files import command

        make(run.place / "config.yaml")
        run.must_refuse = True
        arguments = ["explain", "--model", run.arguments["model"], "--examples", str(run.place), "--output"]
        run.act = lambda run, result: command(
            run, result, *arguments, str(run.place / "out"), "--config", str(run.place / "config.yaml")
        )

    ALL[what] = broken


_configured("a configuration that is a directory", lambda path: path.mkdir())
_configured("a configuration that is not there", lambda path: None)
_configured("a configuration of noise", lambda path: path.write_bytes(bytes(range(256))))
_configured("a configuration that is a device", lambda path: _link(path, "/dev/null/x"))
_configured("a configuration of a Parquet file", lambda path: path.write_bytes(_parquet()))
_configured("a configuration that is a list", lambda path: path.write_text(json.dumps([1, 2])))
_configured("a configuration whose link leads to itself", lambda path: _link(path, str(path)))
