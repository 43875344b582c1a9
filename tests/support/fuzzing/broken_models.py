"""Breakages of models, and of the module files that load them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.breakage import Breakages, Run, flip

ALL = Breakages()


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
    _flips = _rewrite("saved_model.pb", lambda c, rng: flip(c, 0, len(c), rng))
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


@ALL.named("a module file that is not there")
def _no_module(run: Run) -> None:
    run.good_shard()
    run.config = {"model": {"module_file": str(run.place / "gone.py")}}
    run.must_refuse = True


@ALL.named("a module file that is a directory")
def _module_directory(run: Run) -> None:
    run.good_shard()
    (run.place / "module.py").mkdir()
    run.config = {"model": {"module_file": str(run.place / "module.py")}}
    run.must_refuse = True
