"""`tfx-explain explain`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tfx_explain.commands.exit_codes import DONE
from tfx_explain.commands.options import BEAM_ARGS, BeamCommand, F, Place, common_options
from tfx_explain.commands.progress import shown_progress
from tfx_explain.commands.saying import figure, say, say_json
from tfx_explain.printable import printable, shortened

if TYPE_CHECKING:
    import pandas as pd

    from tfx_explain.reader import ExplanationReader

_DIRECTORY, _FILE = Place("dir"), Place("file")
_MAX_NAME = 60


def job_options(function: F) -> F:
    """What is explained, and how: the options of commands that know the job before it runs."""
    options = [
        click.option("--model", required=True, metavar="DIR", type=_DIRECTORY, help="A SavedModel, or a TFX Model."),
        click.option(
            "--examples",
            required=True,
            metavar="GLOB",
            type=_FILE,
            help="TFRecords of tf.Examples: a pattern of files, or their directory.",
        ),
        click.option(
            "--config", metavar="FILE", type=_FILE, help="An ExplainConfig in YAML or JSON (default: Shapley values)."
        ),
        click.option(
            "--background",
            metavar="GLOB",
            type=_FILE,
            help="Examples that the background is drawn from (default: --examples).",
        ),
        click.option(
            "--baseline-model", metavar="DIR", type=_DIRECTORY, help="A model to compare with, on the same rows."
        ),
        click.option("--schema", metavar="FILE", type=_FILE, help="A TFDV schema of the examples."),
        click.option(
            "--transform-graph",
            metavar="DIR",
            type=_DIRECTORY,
            help="What the Transform component wrote, for models of transformed features and labels made in Transform.",
        ),
        click.option(
            "--baseline-transform-graph",
            metavar="DIR",
            type=_DIRECTORY,
            help="The same of the baseline model (default: --transform-graph).",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    "explain",
    cls=BeamCommand,
    short_help="Explain a model on examples.",
    epilog="Every path may be a URI. Options of Apache Beam follow `--`: `-- --direct_num_workers=4` explains in four "
    "processes.",
)
@job_options
@click.option(
    "--output", "output_dir", required=True, metavar="DIR", type=_DIRECTORY, help="A new directory for the explanation."
)
@common_options
@click.pass_context
def explain(context: click.Context, /, *, as_json: bool, **job: Any) -> int:
    """Explain a model on examples, and print what matters to it.

    Writes tables, attributions of each row and report.html into a new directory, which the other commands read.
    """
    from tfx_explain.commands.places import settings_of  # noqa: PLC0415 - see `validate._judged`

    settings = settings_of(job)
    from tfx_explain.api import explain as run  # noqa: PLC0415 - loads TensorFlow and Beam, which others do without

    with shown_progress(context.obj):
        explanation = run(**{**job, "config": settings}, beam_args=context.meta[BEAM_ARGS])
    if as_json:
        say_json(_described(explanation))
    else:
        say(*summary(explanation))
    return DONE


def _described(explanation: ExplanationReader) -> dict[str, Any]:
    """What `summary` says, for programs: all players, in the order of their ranks."""
    from tfx_explain import storage, tables  # noqa: PLC0415 - see `validate._judged`

    columns = ["output", "method", "metric", "player", "rank", "value", "std_error", "ci_low", "ci_high", "share"]
    importance: list[dict[str, Any]] = []
    for table in _tables(explanation):
        shown = table[columns].astype(object)
        importance += shown.where(shown.notna(), None).to_dict("records")
    manifest = explanation.manifest
    return {
        "explanation": explanation.uri,
        "report": storage.join(explanation.uri, tables.REPORT),
        "counts": manifest["counts"],
        "failures": manifest["failures"],
        "methods": manifest["method"],
        "unit": manifest["model"]["output_space"],
        "importance": importance,
    }


def summary(explanation: ExplanationReader) -> list[str]:
    """What a person wants to know first."""
    from tfx_explain import storage, tables  # noqa: PLC0415 - see `validate._judged`

    manifest = explanation.manifest
    lines = []
    for split, counts in manifest["counts"].items():
        failed = sum(manifest["failures"].get(split, {}).values())
        rows = f"{counts['explained']:,} of {counts['read']:,} rows explained"
        empty = f", files of 0 bytes: {counts['empty_files']:,}" if counts.get("empty_files") else ""
        lines.append(f"{split}: {rows}, {failed:,} failed, {counts['model_rows']:,} model rows{empty}")
    if not explanation.methods:
        lines.append(f"no method attributes outputs to players; computed: {', '.join(manifest['method'])}")
    unit = manifest["model"]["output_space"]
    for table in _tables(explanation):
        first = table.iloc[0]
        if first["method"] in explanation.methods:
            by = f" by {first['method']}" if len(explanation.importance_methods) > 1 else ""
            what = f"for {first['output']}{by} (mean |attribution| in {unit} units"
        else:
            what = f"by {first['method']} ({first['metric']}"
        lines.append(f"importance {what} +- half of its 95 % interval):")
        lines += _lines(table.head(10))
    lines.append(f"report: {storage.join(explanation.uri, tables.REPORT)}")
    return lines


def _tables(explanation: ExplanationReader) -> Iterator[pd.DataFrame]:
    """Importance of each output by the main method, then by each that judges all outputs together."""
    from tfx_explain import tables  # noqa: PLC0415 - see `validate._judged`

    of_losses = [name for name in explanation.importance_methods if name not in explanation.methods]
    asked = [(None, output) for output in explanation.outputs if explanation.methods]
    for method, output in [*asked, *((name, None) for name in of_losses)]:
        table = explanation.importance_for(output=output, method=method)
        yield table.assign(share=tables.shares_of_total(table) if method is None else math.nan)


def _lines(table: pd.DataFrame) -> Iterator[str]:
    """A player each."""
    names = [shortened(printable(player), _MAX_NAME) for player in table["player"]]
    width = max(len(name) for name in names)
    for row, name in zip(table.itertuples(), names, strict=True):
        half, share = (row.ci_high - row.ci_low) / 2, "" if math.isnan(row.share) else f"  {row.share:6.1%}"
        yield f"  {row.rank:>3}  {name:<{width}}  {figure(row.value):>9} +- {figure(half)}{share}"
