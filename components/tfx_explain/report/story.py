"""What the figures say, in sentences; names are escaped here, since sentences carry their own emphasis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tfx_explain.printable import shortened
from tfx_explain.report.gradients import PATH_METHODS, at, told
from tfx_explain.report.probabilities import correction_of
from tfx_explain.report.ranking import Bar, Ranking
from tfx_explain.report.stored import told_stored
from tfx_explain.report.text import NOISE, count, number, percent, signed
from tfx_explain.tables import OCCLUSION, SHAPLEY, attributing_methods
from tfx_explain.tables.manifest import PROCESSES, Manifest

_MAX_NAME = 100
_ESTIMATORS = {
    "exact": "every coalition of features evaluated, so nothing is sampled but the background",
    "leverage": "estimated from paired coalitions drawn by leverage score",
    "permutation": "estimated from antithetic permutations",
    "surrogate": "a surrogate of the model's effects, corrected by a few coalitions per background row",
}

_MAX_BASE_VALUES = 10

_OF_SHAPLEY = (
    "Shapley values are interventional: absent features take their values from background rows, whatever the present "
    "ones are. Where features are correlated, the model is also asked about rows that could not occur."
)
_OF_OCCLUSION = (
    "Occlusion makes each feature, or part of one, absent alone: what two of them do only together counts for both, "
    "and what either of them does as well as the other for neither. Figures are changes of the output and no shares of "
    "it, so they do not add up to it, and no base value belongs to them."
)
_DIFFERENCE = (
    "Shapley values average over all ways to replace some of a row's values by those of reference rows; gradients "
    "follow the straight line between the two. Both add up to prediction \N{MINUS SIGN} base value, and they agree "
    "where effects are sums or products of features and the references are the same."
)
"""Of products: each factor is linear along the line, so that both share a product out alike."""


def headline(ranking: Ranking | None, output: str | None) -> list[Markup]:
    """What drives the model and how sure that is: two or three sentences.

    Args:
      ranking: of the most general slice; None where no method attributes.
      output: named where there are several.
    """
    if ranking is None:
        return [Markup("No method of this run attributes outputs to features; what it was asked for is below.")]
    bars = [bar for bar in ranking.bars if bar.value > 0]
    what = Markup("the output <b>{}</b>").format(shortened(output, _MAX_NAME)) if output else Markup("this model")
    if not bars:
        return [Markup("Nothing drives {}: the output is the same for every row and background row.").format(what)]
    first = bars[0]
    if len(ranking.bars) == 1:
        return [Markup("<b>{}</b> is all there is to drive {}.").format(shortened(first.player, _MAX_NAME), what)]
    interval = _share_interval(first)
    sentences = [
        Markup("<b>{}</b> drives {} most: it carries {} of the importance{}.").format(
            shortened(first.player, _MAX_NAME), what, percent(first.share), interval
        )
    ]
    return [*sentences, *_followers(bars), *_lead(bars)]


def _followers(bars: Sequence[Bar]) -> list[Markup]:
    """Who comes second and third."""
    named = [Markup("<b>{}</b> ({})").format(shortened(bar.player, _MAX_NAME), percent(bar.share)) for bar in bars[1:3]]
    if len(named) < 2:
        return [Markup("{} follows.").format(name) for name in named]
    together = f"; these three carry {percent(min(sum(bar.share for bar in bars[:3]), 1.0))}" if len(bars) > 3 else ""
    return [Markup("{} and {} follow{}.").format(*named, together)]


def _share_interval(bar: Bar) -> str:
    low, high = bar.share_ci
    return f" (95 % interval {percent(low)} to {percent(high)})" if math.isfinite(low + high) else ""


def _lead(bars: Sequence[Bar]) -> list[Markup]:
    """Whether the first place is certain."""
    if len(bars) < 2 or not math.isfinite(bars[0].ci_low + bars[1].ci_high):
        return []
    second = shortened(bars[1].player, _MAX_NAME)
    if bars[0].ci_low > bars[1].ci_high:
        return [Markup("Its lead is clear: the intervals of the first two do not overlap.")]
    return [Markup("Its lead over <b>{}</b> is not certain: their intervals overlap.").format(second)]


def row_totals(manifest: Manifest) -> dict[str, int]:
    """Rows over all explained splits: `read`, `explained` (where known) and `failed`."""
    splits = at(manifest, "counts") or {}
    totals = {
        name: sum(int(counts[name]) for counts in splits.values() if name in counts)
        for name in ("read", "explained", "model_rows")
        if any(name in counts for counts in splits.values())
    }
    return {**totals, "failed": sum(n for reasons in failures(manifest).values() for n in reasons.values())}


def failures(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Split -> reason -> rows that could not be explained."""
    found = at(manifest, "failures") or {}
    nested = {str(split): dict(reasons) for split, reasons in found.items() if isinstance(reasons, Mapping)}
    flat = {str(reason): int(n) for reason, n in found.items() if not isinstance(n, Mapping)}
    return {**nested, **({"all": flat} if flat else {})}


def facts(manifest: Manifest) -> list[tuple[str, str]]:
    """How the explanation was made: (label, text), as far as the manifest says."""
    found = [
        (
            "Method",
            "; ".join(filter(None, map(str, (_method(manifest), *_path_methods(manifest), _occlusion(manifest))))),
        ),
        ("Cost", _cost(manifest)),
        ("Limits", _limits(manifest)),
        ("Background", _background(manifest)),
        ("Base value", _base_values(manifest)),
        ("Completeness", _completeness(manifest)),
        ("Model digest", at(manifest, "model", "digest")),
        ("Signature", at(manifest, "model", "signature")),
        ("Examples digest", _pairs(at(manifest, "examples", "digests"))),
        ("Names in the data", _own_names(manifest)),
        ("Values of rows", told_stored(manifest)),
        ("Seed", at(manifest, "seed")),
        ("Versions", _versions(manifest)),
        ("Time", _time(manifest)),
    ]
    return [(label, str(text)) for label, text in found if text not in (None, "")]


def _method(manifest: Manifest) -> str:
    estimator = at(manifest, "method", "shapley", "estimator")
    detail = _ESTIMATORS.get(str(estimator), str(estimator)) if estimator else ""
    return f"Interventional Shapley values{': ' if detail else ''}{detail}" if at(manifest, "method", "shapley") else ""


def _path_methods(manifest: Manifest) -> list[str]:
    """Methods of gradients, each in a few words."""
    return [told(manifest, name)[0] for name in PATH_METHODS if at(manifest, "method", name)]


def _occlusion(manifest: Manifest) -> str:
    is_there = at(manifest, "method", OCCLUSION) is not None
    return "Occlusion: the change of the output with one feature, or part, absent" if is_there else ""


def differences(manifest: Manifest) -> str:
    """How methods that attribute differ where there are several, in a sentence; else empty."""
    methods = [name for name in attributing_methods(manifest) if name == SHAPLEY or name in PATH_METHODS]
    return _DIFFERENCE if len(methods) > 1 else ""


def main_method(manifest: Manifest) -> str:
    """The first method that attributes; empty where none does."""
    return next(iter(attributing_methods(manifest)), "")


def base_value_is(manifest: Manifest) -> str:
    """What the base value of the main method is, in words."""
    if at(manifest, "method", main_method(manifest), "gradients") == "blur_ig":
        return "the output at the row with its image blurred"
    references = at(manifest, "method", main_method(manifest), "references")
    return "the mean over the background" if references is None else "the output at the method's reference rows"


def adds_up(manifest: Manifest) -> bool:
    """Whether attributions of the main method are shares of the output."""
    return at(manifest, "method", main_method(manifest), "adds_up") is not False


def largest_gap(manifest: Manifest) -> float | None:
    """Of the main method; None where its attributions are no shares of the output."""
    if not adds_up(manifest):
        return None
    gap = at(manifest, "completeness_gap", "max_abs")
    return None if gap is None else float(gap)


def shown_gap(manifest: Manifest) -> float | None:
    """The largest gap as a person needs it: 0 where it is rounding; None where there is none."""
    gap, relative = largest_gap(manifest), at(manifest, "completeness_gap", "max_relative")
    return 0.0 if gap is not None and relative is not None and float(relative) < NOISE else gap


def caveats(manifest: Manifest) -> list[str]:
    """What the attributions of each method do not say."""
    said = {SHAPLEY: _OF_SHAPLEY, OCCLUSION: _OF_OCCLUSION, **{name: told(manifest, name)[1] for name in PATH_METHODS}}
    return [said[name] for name in attributing_methods(manifest) if name in said]


def correction(manifest: Manifest) -> str:
    """How probabilities are corrected for a training sample, in a sentence; empty where they are not."""
    rates, shift = at(manifest, "config", "model", "positive_rate"), correction_of(manifest)
    if not rates:
        return ""
    return (
        "Probabilities are corrected for the sample that the model was trained on, "
        f"{percent(rates['trained'])} of which was positive, where {percent(rates['actual'])} is: they are those of "
        f"log-odds moved by {signed(shift)}. "
        "Log-odds are the model's own."
    )


def _own_names(manifest: Manifest) -> str:
    """What the features and classes are called that have other names for readers."""
    told = [*(at(manifest, "config", "feature_names") or {}).items(), *(at(manifest, "class_names") or {}).items()]
    return ", ".join(f"{shown} is {name}" for name, shown in told)


def _cost(manifest: Manifest) -> str:
    shapley = at(manifest, "method", "shapley")
    parts = [
        (at(shapley, "coalitions_per_background_row"), "coalitions per background row"),
        (at(shapley, "model_rows_per_example"), "model rows per explained row"),
        (row_totals(manifest).get("model_rows"), "model rows in all"),
    ]
    return ", ".join(f"{count(value)} {label}" for value, label in parts if value is not None)


def _limits(manifest: Manifest) -> str:
    """The limits that the run was to keep to, and what was cut for that."""
    limits = at(manifest, "limits") or {}
    given = [f"{name} {count(limits[name])}" for name in ("max_model_rows", "max_seconds") if limits.get(name)]
    cut = [f"{name} {of['used']} in place of {of['asked']}" for name, of in (limits.get("cut") or {}).items()]
    return f"{', '.join(given)}; cut: {', '.join(cut) or 'nothing'}" if given else ""


def _background(manifest: Manifest) -> str:
    background = at(manifest, "background") or {}
    if not background.get("num_rows"):
        return ""
    split = f" of split {background['split']}" if background.get("split") else ""
    how = f", chosen as {background['strategy']}" if background.get("strategy") else ""
    digest = f", digest {background['digest']}" if background.get("digest") else ""
    return f"{count(background['num_rows'])} rows{split}{near_cut_off(manifest)}{how}{digest}"


def near_cut_off(manifest: Manifest) -> str:
    """Which rows alone the background is drawn from, where these are not all."""
    near, asked = at(manifest, "background", "near"), at(manifest, "config", "background", "near")
    if not near or not asked:
        return ""
    where = f"whose output {near['output']} is within {asked['within']:g} of {asked['output']:g} ({near['unit']})"
    return f", of the {count(near['num_rows'])} of {count(near['of'])} {where}"


def _base_values(manifest: Manifest) -> str:
    if not adds_up(manifest):
        return ""
    if at(manifest, "method", main_method(manifest), "gradients") == "blur_ig":
        return "each row's own: the output with the image blurred"
    values, outputs = at(manifest, "base_values"), at(manifest, "outputs") or ()
    own = at(manifest, "method", main_method(manifest), "base_values")
    if own is not None and isinstance(values, Mapping) and len(own) == len(values):
        values = dict(zip(values, own, strict=True))
    pairs = list(values.items()) if isinstance(values, Mapping) else list(zip(outputs, values or (), strict=False))
    if len(pairs) == 1:
        return number(float(pairs[0][1]))
    named = [f"{name} {number(float(value))}" for name, value in pairs[:_MAX_BASE_VALUES]]
    if len(pairs) > len(named):
        named.append(f"and {count(len(pairs) - len(named))} more in the manifest")
    whose = "of each row's own output: " if isinstance(values, Mapping) and not set(outputs) <= set(values) else ""
    return whose + ", ".join(named)


def _completeness(manifest: Manifest) -> str:
    gap = largest_gap(manifest)
    if gap is None:
        return ""
    relative = at(manifest, "completeness_gap", "max_relative")
    of = f" ({float(relative):.2g} relative to 1 + |prediction|)" if relative is not None else ""
    return f"attributions add up to prediction \N{MINUS SIGN} base value within {float(gap):.2g}{of} in every row"


def _pairs(entries: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in entries.items() if v) if isinstance(entries, Mapping) else ""


def _versions(manifest: Manifest) -> str:
    own = at(manifest, "tfx_explain_version")
    return ", ".join(filter(None, [f"tfx-explain {own}" if own else "", _pairs(at(manifest, "versions"))]))


def _time(manifest: Manifest) -> str:
    seconds, created = at(manifest, "timings_seconds") or {}, at(manifest, "created")
    took = [f"{float(seconds['total']):,.1f} s"] if "total" in seconds else []
    parts = ", ".join(f"{what} {float(n):,.1f} s" for what, n in seconds.items() if what != "total")
    n_processes = len(at(manifest, PROCESSES) or ())
    of = f" ({parts}{f', by {n_processes} processes together' if n_processes > 1 else ''})" if parts else ""
    return ", ".join([*(f"{total}{of}" for total in took), *([f"made {created}"] if created else [])])
