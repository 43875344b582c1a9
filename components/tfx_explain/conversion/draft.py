"""A configuration in the making, and what is told of the keys that it is made of."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfx_explain.config import BackgroundConfig
from tfx_explain.conversion.document import Document
from tfx_explain.conversion.keys import Fate

UNNAMED = "name it in the configuration by hand, or give `--feature`"
MAX_ROWS = 100_000
_DEFAULT_ROWS = BackgroundConfig().num_rows


@dataclasses.dataclass
class Draft:
    """What a configuration has so far.

    Attributes:
      document: the file that it is made of.
      feature: what an image or a text is called whose name the file does not say; None = not said.
      config: keys of ExplainConfig but `methods`.
      methods: name -> settings, in their order.
      reasons: key of `config` -> why it is there, where no key of the file alone is the reason.
      told: path of the file -> fate, where it goes and why, where the table alone would not be right.
    """

    document: Document
    feature: str | None = None
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)
    told: dict[str, tuple[Fate, str, str]] = dataclasses.field(default_factory=dict)

    def put(self, path: str, value: object) -> None:
        """Sets a key of a section, `background.num_rows`, or of the whole."""
        *sections, name = path.split(".")
        inner = self.config
        for one in sections:
            inner = inner.setdefault(one, {})
        inner[name] = value

    def lose(self, path: str, why: str) -> None:
        """Says why a key of the file is not carried over."""
        self.told[path] = Fate.LOST, "", why

    def change(self, path: str, to: str, how: str) -> None:
        """Says how what a key of the file becomes differs from it."""
        self.told[path] = Fate.CHANGED, to, how

    def carry(self, path: str, to: str) -> None:
        """Says that a key of the file is carried over as it is."""
        self.told[path] = Fate.CARRIED, to, ""

    def needless(self, path: str, why: str) -> None:
        """Says why nothing depends on a key of the file."""
        self.told[path] = Fate.NEEDLESS, "", why

    def fit_background(self, n_rows: int) -> None:
        """Makes room for all of so many rows, where they are more than a background has by itself.

        Fewer are left to the default, as the examples may not be these rows.
        """
        if n_rows > _DEFAULT_ROWS:
            self.config["background"] = {"num_rows": min(n_rows, MAX_ROWS)}

    def within(self, path: str, least: int, most: int) -> int | None:
        """A whole number of the file that is in a range; None, which is told, where it is not."""
        value = self.document.get(path)
        if not isinstance(value, int):
            return None
        if least <= value <= most:
            return value
        self.lose(path, f"{value:,} is not between {least:,} and {most:,}, as this setting must be here")
        return None

    def finished(self) -> dict[str, Any]:
        """The whole configuration as plain data."""
        methods = [{name: settings} if settings else name for name, settings in self.methods.items()]
        return {**self.config, "methods": methods}
