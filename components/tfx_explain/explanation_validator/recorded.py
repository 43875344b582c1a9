"""What a step does around its verdict: it opens what was recorded, checks whose it is, and says how it ended."""

from __future__ import annotations

from absl import logging  # as TFX's own components: others' logs are below the level of its runners

from tfx_explain import storage
from tfx_explain.errors import InputError
from tfx_explain.explanation_validator.judge import VERDICT_REPORT, Verdict
from tfx_explain.printable import MAX_SENTENCE, printable, shortened
from tfx_explain.reader import ExplanationReader, load


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


def log_verdict(verdict: Verdict, uri: str, *, blessed: bool) -> None:
    """Says in the log what a person wants to know of a run that ended well.

    Args:
      verdict: of the policy.
      uri: where it was written.
      blessed: whether the model is, which an earlier verdict and a switch can prevent too.
    """
    for line in verdict.lines(passed=False):
        logging.info("%s", shortened(printable(line), MAX_SENTENCE))
    judged = "meets the policy" if verdict.blessed else "does not meet the policy"
    logging.info("The explanation in %s %s (%s).", verdict.explanation_uri, judged, verdict.counts)
    if verdict.blessed and not blessed:
        logging.info("The model is not blessed all the same: `model_blessing` is not, or `bless_model` is off.")
    logging.info("The model is %s. See %s", "blessed" if blessed else "not blessed", storage.join(uri, VERDICT_REPORT))
