"""The files of an explanation and of a verdict that are no tables, by name."""

from __future__ import annotations

import dataclasses

MANIFEST = "manifest.json"
ATTRIBUTION_STATS = "attribution_stats/FeatureStats.pb"
STATISTICS_BY = "tensorflow-data-validation"  # among the versions in the manifest where there are statistics
REPORT = "report.html"
DEAD_LETTERS = "dead_letters"
ATTRIBUTIONS = "attributions"
IMAGES = "images"
FINDINGS = "findings.json"
PAGE_DIGESTS = "page_digests"  # entry of the findings: name of each page for people -> its SHA-256
RUN = "run.json"  # what the workers found out, for the manifest; gone when the run ends
TRIAL = ".trial"  # where a job on few rows writes, to know what all take; gone when that ends
CLAIM = ".explanation_in_progress"  # of a directory that a run writes into; gone when the run ends


@dataclasses.dataclass(frozen=True)
class OtherFile:
    """A file that is no table.

    Attributes:
      name: in the directory of the explanation.
      about: what it holds, in sentences.
      when: the explanations that have it.
    """

    name: str
    about: str
    when: str = "always"


OTHER_FILES = (
    OtherFile(
        MANIFEST,
        "What was explained, by what and how; written last, so that a directory without it is no explanation.",
    ),
    OtherFile(
        ATTRIBUTION_STATS,
        "Statistics of the attributions by TensorFlow Data Validation, as `tfdv.load_stats_binary` reads them: a "
        "dataset `All Examples`, then, where `max_slices` is 1,000 at most, one for each slice in the tables, over all "
        "splits. Features are "
        "`attribution_<player>` and `prediction`, with `baseline_` before the baseline model's, and `/<output>` behind "
        "them where there are several outputs; with `example_weight_key` they have weighted statistics too. Quantiles "
        "and histograms are TFDV's approximations; they alone may depend on how the data is sharded. More than 1,000 "
        "features have neither, and statistics of the whole data alone.",
        "if TensorFlow Data Validation was installed, as the manifest's `versions` say",
    ),
    OtherFile(
        f"{DEAD_LETTERS}/",
        "Gzipped TFRecords of tf.Examples with `reason`, `split` and `record`: the bytes as read, but of rows that a "
        "model refused or had no finite output for their features and values encoded anew, without features that have "
        "no value. Where `store_features` is not `all`, `example_id` stands in place of `record`, empty where "
        "nothing can be read, and a reason is without what the model said.",
        "if a row could not be explained",
    ),
    OtherFile(
        f"{IMAGES}/",
        "Of the rows that the report shows: the picture with its attributions laid over it (`.png`, at the picture's "
        "own size, or 4,096 pixels along a side that is longer) and the label map of its regions (`.labels.png`, 16 "
        "bits of grey, at the size that the model gets). At most 48 files, and 64 MiB; `images.parquet` lists them.",
        "if a method finds regions of an image",
    ),
    OtherFile(REPORT, "A page for a person to read: self-contained, opens offline, made from the other files."),
)
"""The files of an explanation beside its tables and attribution records."""
