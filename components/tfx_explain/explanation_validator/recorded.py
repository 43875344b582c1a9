"""What a step does around its verdict: it opens what was recorded, checks whose it is, and says how it ended."""

from __future__ import annotations

from absl import logging  # as TFX's own components: others' logs are below the level of its runners

from tfx_explain import storage
from tfx_explain.errors import InputError
from tfx_explain.explanation_validator.history import drift_name, is_drift
from tfx_explain.explanation_validator.judge import VERDICT_REPORT, Verdict
from tfx_explain.printable import MAX_SENTENCE, printable, shortened
from tfx_explain.reader import ExplanationReader, load

ALERT = "DRIFT ALERT"
"""How the line begins that says so, for whoever watches the log."""


def load_recorded(uri: str, digest: str) -> ExplanationReader:
    """The explanation whose manifest ML Metadata knows by its digest; artifacts imported by URI have none.

    Raises:
      InputError: there is no explanation, or another one than was recorded.
    """
    reader = load(uri)
    if digest and reader.manifest_digest != digest:
        raise InputError(
            f"the explanation in {uri} is not the one that ML Metadata recorded (the SHA-256 of its manifest differs); "
            "explain the model again."
        )
    return reader


def check_same_model(explained: str, model: str) -> None:
    """Refuses an explanation of another model than the one that is to be blessed.

    Raises:
      InputError: it is.
    """
    if explained != model and not explained.startswith(model.rstrip("/") + "/"):
        raise InputError(
            f"the explanation is of the model in {explained}, not of the one in {model}; "
            "wire `model` and `explanation` from the same Trainer."
        )


def log_verdict(verdict: Verdict, uri: str, *, blessed: bool, span: str = "") -> None:
    """Says in the log what a person wants to know of a run that ended well.

    Args:
      verdict: of the policy.
      uri: where it was written.
      blessed: whether the model is, which an earlier verdict and a switch can prevent too.
      span: of the examples, for the alert; empty where it is not known.
    """
    told = alert(verdict, uri, span)
    if told:
        logging.warning("%s", told)
    for line in verdict.lines(passed=False):
        logging.info("%s", shortened(printable(line), MAX_SENTENCE))
    judged = "meets the policy" if verdict.blessed else "does not meet the policy"
    logging.info("The explanation in %s %s (%s).", verdict.explanation_uri, judged, verdict.counts)
    if verdict.blessed and not blessed:
        logging.info("The model is not blessed all the same: `model_blessing` is not, or `bless_model` is off.")
    logging.info("The model is %s. See %s", "blessed" if blessed else "not blessed", storage.join(uri, VERDICT_REPORT))


def alert(verdict: Verdict, uri: str, span: str = "") -> str:
    """What to wake a person with, on one line: which rule about drift failed first, and by which figure.

    Args:
      verdict: of the policy.
      uri: where it was written.
      span: of the examples; empty where it is not known.

    Returns:
      The line; empty where no rule about drift failed.
    """
    failed = [finding for finding in verdict.findings if is_drift(finding) and finding.outcome == "fail"]
    if not failed:
        return ""
    first, n_more = failed[0], len(failed) - 1
    where = f" in span {span}" if span else ""
    more = f" {n_more} more {'finding' if n_more == 1 else 'findings'} on drift failed." if n_more else ""
    page = storage.join(uri, VERDICT_REPORT)
    line = f"{ALERT}{where}: {drift_name(first)}, slice {first.slice_key}: {first.message}{more} See {page}"
    return shortened(printable(line), MAX_SENTENCE)
