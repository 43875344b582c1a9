"""What holds of every page: escaped, self-contained, and with one script, which the page names by its digest."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from tfx_explain.printable import MAX_SENTENCE, printable, shortened
from tfx_explain.report import dependence, strips, text, trend
from tfx_explain.report.profiles import HEIGHT as PROFILE_HEIGHT
from tfx_explain.report.profiles import WIDTH as PROFILE_WIDTH
from tfx_explain.report.slices import FALSE_DISCOVERY_RATE
from tfx_explain.report.swarm import LABEL_WIDTH, WIDTH
from tfx_explain.slicing import OVERALL
from tfx_explain.tables.manifest import Manifest

GENERATOR = "tfx-explain"
MAX_NAMES = 30
"""Names in a row; of more the number is told."""
_MAX_NAME = 200


def fill(template: str, **values: object) -> str:
    """The page, with what is invisible in names, or turns the direction of reading, as its escape everywhere."""
    return printable(str(_environment().get_template(template).render(**values)), keep_newlines=True)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfx_explain.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=readable,
    )
    environment.filters |= {
        "number": text.number,
        "signed": text.signed,
        "percent": text.percent,
        "count": text.count,
        "data": _data,
        "breakable": _breakable,
        "names": _names,
        "long": _long,
    }
    script = importlib.resources.files("tfx_explain.report").joinpath("templates/report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": Markup(script), "script_digest": Markup("sha256-{}").format(digest)}
    environment.globals |= {"scatter_width": dependence.WIDTH, "scatter_height": dependence.HEIGHT}
    environment.globals |= {"generator": GENERATOR, "isfinite": math.isfinite}
    environment.globals |= {"swarm_width": WIDTH, "swarm_label_width": LABEL_WIDTH}
    environment.globals |= {"overall": OVERALL, "false_discovery_rate": FALSE_DISCOVERY_RATE}
    environment.globals |= {"profile_width": PROFILE_WIDTH, "profile_height": PROFILE_HEIGHT}
    environment.globals |= {"trend_width": trend.WIDTH, "trend_height": trend.HEIGHT}
    environment.globals |= {"strip_width": strips.WIDTH, "strip_left": strips.LEFT, "strip_right": strips.RIGHT}
    return environment


def readable(value: Any) -> Any:
    """Text on one line and not too long for a page, however long a feature's value is; all else as it is."""
    return shortened(printable(value), _MAX_NAME) if isinstance(value, str) and not isinstance(value, Markup) else value


def manifest_text(manifest: Manifest) -> Markup:
    """The manifest as people read it; long values are cut, since all of it is in the file."""
    return Markup.escape(json.dumps(_cut(manifest), indent=1, ensure_ascii=False, default=str))


def _cut(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {shortened(str(key), _MAX_NAME): _cut(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(entry) for entry in value]
    return shortened(value, _MAX_NAME) if isinstance(value, str) else value


def _breakable(name: str) -> Markup:
    """A name that a narrow column may break after underscores."""
    return Markup("_<wbr>").join(readable(name).split("_"))


def _names(names: Iterable[str]) -> Markup:
    """Names in a row."""
    there = list(names)
    shown = [Markup("<bdi>{}</bdi>").format(readable(str(name))) for name in there[:MAX_NAMES]]
    if len(there) > len(shown):
        shown.append(Markup("and {} more").format(text.count(len(there) - len(shown))))
    return Markup(", ").join(shown)


def _long(text: str) -> Markup:
    """Text that may be longer than a name: a sentence that lists some."""
    words = re.sub(rf"\S{{{_MAX_NAME + 1},}}", lambda word: shortened(word.group(), _MAX_NAME), str(text))
    return Markup.escape(shortened(printable(words), MAX_SENTENCE))


def _data(value: float, shown: str | None = None) -> Markup:
    """A figure as text for people, with all its digits for programs."""
    label = text.number(value) if shown is None else shown
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), label)
