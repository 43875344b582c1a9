"""Breakages of outputs, explanations and configurations: places that are something else than they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzzing.breakage import Breakages, Run, parquet

ALL = Breakages()


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


@ALL.named("an output inside the model")
def _inside_model(run: Run) -> None:
    run.good_shard()
    run.arguments["output_dir"] = str(Path(run.arguments["model"]) / "out")


@ALL.named("an output inside the examples")
def _inside_examples(run: Run) -> None:
    run.good_shard()
    run.arguments["output_dir"] = str(run.place / "examples" / "out")


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
_configured("a configuration of a Parquet file", lambda path: path.write_bytes(parquet()))
_configured("a configuration that is a list", lambda path: path.write_text(json.dumps([1, 2])))
_configured("a configuration whose link leads to itself", lambda path: _link(path, str(path)))
