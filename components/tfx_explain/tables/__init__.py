"""Every file of an explanation by name, and every table of it by column: what `docs/format.md` is made from.

A column that is written stands here with a sentence; one that stands here is written. The tests hold both.
"""

from __future__ import annotations

from tfx_explain.tables.columns import (
    CUT_OFF,
    EXPECTED_GRADIENTS,
    FAITHFULNESS_METHOD,
    INTEGRATED_GRADIENTS,
    MEAN_ABS_ATTRIBUTION,
    OCCLUSION,
    PROFILE_METHODS,
    SHAPLEY,
    XRAI,
)
from tfx_explain.tables.examples import (
    ATTRIBUTION_PREFIX,
    ATTRIBUTION_RECORDS,
    BACKGROUND,
    BACKGROUND_WEIGHT,
    BASE_VALUE,
    BASELINE_PREFIX,
    COMPLETENESS_GAP,
    DEGREES_OF_FREEDOM,
    EXAMPLE_ID,
    MAP_PREFIX,
    PARTS_SUFFIX,
    PIXELS_PREFIX,
    PREDICTION,
    REPORT_EXAMPLES,
    REST,
    STD_ERROR_PREFIX,
    WHERE_PREFIX,
)
from tfx_explain.tables.faithfulness import FAITHFULNESS, FAITHFULNESS_CURVES
from tfx_explain.tables.files import (
    ATTRIBUTION_STATS,
    ATTRIBUTIONS,
    CLAIM,
    DEAD_LETTERS,
    FINDINGS,
    IMAGES,
    MANIFEST,
    OTHER_FILES,
    PAGE_DIGESTS,
    REPORT,
    RUN,
    STATISTICS_BY,
    TRIAL,
)
from tfx_explain.tables.history import DRIFT, HISTORY, SHARE, VERDICT
from tfx_explain.tables.importance import (
    BASELINE_IMPORTANCE,
    BASELINE_IMPORTANCE_COVARIANCE,
    IMPORTANCE,
    IMPORTANCE_COVARIANCE,
    SLICE_DIFFERENCES,
)
from tfx_explain.tables.interactions import (
    INTERACTIONS,
)
from tfx_explain.tables.manifest import (
    ATTRIBUTION_METHODS,
    attributing_methods,
)
from tfx_explain.tables.parts import IMAGE_MAPS, REGIONS, ROW_IMAGES, SERIES, WORDS
from tfx_explain.tables.profiles import (
    BASELINE_PROFILES,
    PROFILES,
)
from tfx_explain.tables.reasons import REASONS
from tfx_explain.tables.schema import (
    PLAYER,
    Column,
    Kind,
    Table,
    method_prefix,
)
from tfx_explain.tables.totals import cut_off_of, shares_of_total

PART_TABLES = (WORDS, SERIES, REGIONS, IMAGE_MAPS)
"""Those of what is inside features."""

TABLES = (
    *(IMPORTANCE, IMPORTANCE_COVARIANCE, BASELINE_IMPORTANCE, BASELINE_IMPORTANCE_COVARIANCE, INTERACTIONS),
    *(SLICE_DIFFERENCES, PROFILES, BASELINE_PROFILES, *PART_TABLES, ROW_IMAGES),
    *(FAITHFULNESS, FAITHFULNESS_CURVES, REASONS, BACKGROUND, REPORT_EXAMPLES),
)
"""The Parquet files of an explanation."""


WRITTEN = (
    *(MANIFEST, *(table.file for table in TABLES), ATTRIBUTION_STATS.split("/")[0], REPORT),
    *(IMAGES, DEAD_LETTERS, RUN, CLAIM),
)
"""The names of all that a run writes into the directory of an explanation, attributions aside."""

__all__ = [
    "ATTRIBUTIONS",
    "ATTRIBUTION_METHODS",
    "ATTRIBUTION_PREFIX",
    "ATTRIBUTION_RECORDS",
    "ATTRIBUTION_STATS",
    "BACKGROUND",
    "BACKGROUND_WEIGHT",
    "BASELINE_IMPORTANCE",
    "BASELINE_IMPORTANCE_COVARIANCE",
    "BASELINE_PREFIX",
    "BASELINE_PROFILES",
    "BASE_VALUE",
    "CLAIM",
    "COMPLETENESS_GAP",
    "CUT_OFF",
    "DEAD_LETTERS",
    "DEGREES_OF_FREEDOM",
    "DRIFT",
    "EXAMPLE_ID",
    "EXPECTED_GRADIENTS",
    "FAITHFULNESS",
    "FAITHFULNESS_CURVES",
    "FAITHFULNESS_METHOD",
    "FINDINGS",
    "HISTORY",
    "IMAGES",
    "IMAGE_MAPS",
    "IMPORTANCE",
    "IMPORTANCE_COVARIANCE",
    "INTEGRATED_GRADIENTS",
    "INTERACTIONS",
    "MANIFEST",
    "MAP_PREFIX",
    "MEAN_ABS_ATTRIBUTION",
    "OCCLUSION",
    "OTHER_FILES",
    "PAGE_DIGESTS",
    "PARTS_SUFFIX",
    "PART_TABLES",
    "PIXELS_PREFIX",
    "PLAYER",
    "PREDICTION",
    "PROFILES",
    "PROFILE_METHODS",
    "REASONS",
    "REGIONS",
    "REPORT",
    "REPORT_EXAMPLES",
    "REST",
    "ROW_IMAGES",
    "RUN",
    "SERIES",
    "SHAPLEY",
    "SHARE",
    "SLICE_DIFFERENCES",
    "STATISTICS_BY",
    "STD_ERROR_PREFIX",
    "TABLES",
    "TRIAL",
    "VERDICT",
    "WHERE_PREFIX",
    "WORDS",
    "WRITTEN",
    "XRAI",
    "Column",
    "Kind",
    "Table",
    "attributing_methods",
    "cut_off_of",
    "method_prefix",
    "shares_of_total",
]
