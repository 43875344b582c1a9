"""What a report shows, and where an explanation directory keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from typing_extensions import Self

from tfx_explain import records, storage, tables
from tfx_explain.attribution_records import RecordLayout, attribution_frames
from tfx_explain.errors import InputError
from tfx_explain.judgement import Finding
from tfx_explain.report.inside import InsideSection, channels_of, make_inside
from tfx_explain.report.reasons import count_reasons, reasons_of_rows
from tfx_explain.tables.manifest import Manifest

_REQUIRED = ("slice", "output", "player", "value", "rank")
_OPTIONAL_TABLES = (
    *(tables.SLICE_DIFFERENCES, tables.PROFILES, tables.BASELINE_PROFILES, tables.BASELINE_IMPORTANCE),
    *(tables.INTERACTIONS, tables.IMPORTANCE, tables.FAITHFULNESS, tables.FAITHFULNESS_CURVES),
)
_OPTIONAL = ("std_error", "ci_low", "ci_high", "share", "share_ci_low", "share_ci_high")


@dataclasses.dataclass(frozen=True)
class Link:
    """A place that a page names.

    Attributes:
      text: where it is.
      href: the same for a browser, from where the page will be; empty where browsers open no such place.
    """

    text: str
    href: str = ""


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything in a report; all but the first two may be absent.

    Attributes:
      manifest: as `tables` describes; any part of it may be missing.
      importance: by the first method that attributes, a row per (slice, output, player), none where no method does:
        `slice`, `output`, `player`, `value` = mean |attribution|, `rank`, and optionally `std_error`, `ci_low`,
        `ci_high`, `share`, `share_ci_low`, `share_ci_high`, `cut_off`. NaN = unknown.
      examples: output -> a sample of explained rows: their own features under their own names, `attribution_<player>`,
        `prediction`, `base_value`, and optionally `example_id`.
      slice_differences: a row per (slice, output, player) as `tables` describes: at least `slice`,
        `output`, `player`, `difference`, `rest_value`, `q_value`.
      baseline_importance: the same columns for the model that this one is compared with.
      profiles: as in `profiles.parquet`, if there are any.
      interactions: as in `interactions.parquet`, if there are any.
      other_importance: the rows of `importance.parquet` of all other methods, if there are any.
      other_baseline_importance: the same of `baseline_importance.parquet`.
      baseline_profiles: as in `baseline_profiles.parquet`, if there are any.
      inside: what methods found inside features of single rows.
      parts: name of a table -> what they found there over all rows, if they looked.
      faithfulness, faithfulness_curves: as in their files, if they were asked for.
      findings: of a validation, if there was one.
      blessed: its verdict.
      title: of the page.
      verdict_page: a page with the verdict alone, as a link from where the report will be; empty where there is none.
      history: of the verdicts before, as in `history.parquet`, if there is one.
      evaluation: an Evaluator's metrics, if one was wired.
      reasons: how often each player is a reason, as `count_reasons` says, if there are any.
      row_reasons: as in `reasons.parquet`, of the rows of the sample.
    """

    manifest: Manifest
    importance: pd.DataFrame
    examples: Mapping[str, pd.DataFrame] = dataclasses.field(default_factory=dict)
    baseline_importance: pd.DataFrame | None = None
    profiles: pd.DataFrame | None = None
    findings: Sequence[Finding] = ()
    blessed: bool | None = None
    title: str = "Model explanation"
    slice_differences: pd.DataFrame | None = None
    interactions: pd.DataFrame | None = None
    other_importance: pd.DataFrame | None = None
    other_baseline_importance: pd.DataFrame | None = None
    baseline_profiles: pd.DataFrame | None = None
    inside: Sequence[InsideSection] = ()
    parts: Mapping[str, pd.DataFrame] = dataclasses.field(default_factory=dict)
    faithfulness: pd.DataFrame | None = None
    faithfulness_curves: pd.DataFrame | None = None
    verdict_page: str = ""
    history: pd.DataFrame | None = None
    evaluation: Link | None = None
    reasons: pd.DataFrame | None = None
    row_reasons: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        """Checks the columns, and adds the optional ones that are absent.

        Raises:
          InputError: a column that the report needs is missing, or there is nothing to report.
        """
        object.__setattr__(self, "importance", _complete(self.importance, "importance"))
        others = (self.other_importance, self.profiles, self.interactions)
        if self.importance.empty and not any(table is not None and len(table) for table in others):
            raise InputError("the importance table has no rows, so there is nothing to report; explain some examples.")
        if self.baseline_importance is not None:
            object.__setattr__(self, "baseline_importance", _complete(self.baseline_importance, "baseline_importance"))

    @classmethod
    def read(cls, explanation_dir: str, manifest: Manifest | None = None) -> Self:
        """Reads what an explanation directory holds.

        Args:
          explanation_dir: path or URI.
          manifest: if it is not written yet; None reads it.

        Raises:
          InputError: a file is absent or unusable.
        """
        if manifest is None:
            manifest = records.read_json(storage.join(explanation_dir, tables.MANIFEST))
        uri = storage.join(explanation_dir, tables.REPORT_EXAMPLES.file)
        examples, inside = {}, list[InsideSection]()
        if storage.exists(uri):
            layout = RecordLayout.of(manifest)
            rows, names = records.read_rows(uri), list(manifest["outputs"])
            examples = attribution_frames(rows, layout, names)
            inside = make_inside(rows, layout, names, channels_of(manifest))
        frames, parts = (
            {
                table.name: records.read_table(uri)
                for table in described
                if storage.exists(uri := storage.join(explanation_dir, table.file))
            }
            for described in (_OPTIONAL_TABLES, tables.PART_TABLES)
        )
        main = next(iter(tables.attributing_methods(manifest)), tables.SHAPLEY)
        for name in ("importance", "baseline_importance"):
            if "method" in frames.get(name, ()):
                is_main = frames[name]["method"] == main
                frames[f"other_{name}"], frames[name] = frames[name][~is_main], frames[name][is_main]
        if "method" in frames.get("slice_differences", ()):
            of_slices = frames["slice_differences"]
            frames["slice_differences"] = of_slices[of_slices["method"] == main]
        frames.setdefault("importance", pd.DataFrame(columns=list(_REQUIRED)))
        if "baseline_importance" in frames and frames["baseline_importance"].empty:
            del frames["baseline_importance"]
        frames |= _reasons(storage.join(explanation_dir, tables.REASONS.file), examples.values())
        return cls(manifest=manifest, examples=examples, inside=inside, parts=parts, **frames)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in the order of the model's own where the manifest has it, else of the table."""
        told = list(self.manifest.get("outputs", ()))
        there = list(dict.fromkeys(self.importance["output"])) or told
        return sorted(there, key=lambda name: told.index(name) if name in told else len(told))


def _reasons(uri: str, samples: Iterable[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What the report says of reasons, of a table that may be too long to be looked at row by row."""
    if not storage.exists(uri):
        return {}
    table = records.parse_table(uri, storage.read_bytes(uri))
    names = {str(name) for rows in samples if tables.EXAMPLE_ID in rows for name in rows[tables.EXAMPLE_ID]}
    return {"reasons": count_reasons(table), "row_reasons": reasons_of_rows(table, names)}


def _complete(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with every column that the report reads."""
    missing = [column for column in _REQUIRED if column not in frame.columns]
    if missing:
        raise InputError(f"`{name}` has no column `{missing[0]}`; it has {', '.join(map(str, frame.columns))}.")
    return frame.assign(**{column: float("nan") for column in _OPTIONAL if column not in frame.columns})
