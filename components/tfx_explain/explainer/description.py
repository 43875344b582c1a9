"""What an explanation says of itself: to whoever keeps metadata of artifacts, and in the log of a step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from absl import logging  # as TFX's own components: others' logs are below the level of its runners

from tfx_explain import records, storage, tables
from tfx_explain.content_digest import object_digest
from tfx_explain.printable import MAX_SENTENCE, printable, shortened
from tfx_explain.tables.manifest import ATTRIBUTION_FILES, FILES, Manifest

MAX_CONFIG = 16_000
"""Characters of the longest configuration that metadata hold whole."""


def log_explanation(manifest: Manifest, directory: str) -> None:
    """Says in the log what a person wants to know of a run that ended well."""
    for split, counts in manifest["counts"].items():
        n_failed = sum(manifest["failures"].get(split, {}).values())
        logging.info("%s: %s of %s rows explained, %s failed.", split, counts["explained"], counts["read"], n_failed)
    if manifest["top_players"]:
        names = ", ".join(manifest["top_players"])
        logging.info("Most important: %s.", shortened(printable(names), MAX_SENTENCE))
    logging.info("See %s", storage.join(directory, tables.REPORT))


def describe_explanation(manifest: Manifest) -> dict[str, str | int | float]:
    """What metadata say of an explanation: the custom properties that `artifacts.Explanation` reads."""
    return {
        "methods": ",".join(manifest["method"]),
        "num_examples": sum(counts["explained"] for counts in manifest["counts"].values()),
        "output_space": manifest["model"]["output_space"],
        "top_features": ",".join(manifest["top_players"]),
        "completeness_gap": float(manifest["completeness_gap"]["max_abs"]),
        "seed": manifest["seed"],
        "model_uri": manifest["model"]["uri"],
        "model_digest": manifest["model"]["digest"],
        "background_digest": manifest["background"]["digest"],
        "attributions_uri": manifest["attributions_uri"],
        "manifest_digest": hashlib.sha256(records.json_bytes(manifest)).hexdigest(),
        "tfx_explain_version": manifest["tfx_explain_version"],
        "report": tables.REPORT,
        "created": manifest["created"],
        "num_failed": sum(sum(reasons.values()) for reasons in manifest["failures"].values()),
        "examples_digest": object_digest(manifest["examples"]["digests"]),
        "tables_digest": object_digest(manifest[FILES]),
        "attributions_digest": object_digest(manifest[ATTRIBUTION_FILES]),
        **_config(manifest["config"]),
    }


def _config(config: Mapping[str, object]) -> dict[str, str]:
    """The configuration with its defaults; cut in the middle, with its length, where it is too long for metadata."""
    text = json.dumps(config, sort_keys=True)
    return {"config": shortened(text, MAX_CONFIG), "config_digest": object_digest(config)}
