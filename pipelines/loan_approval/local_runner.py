"""Runs candidates of the loan approval pipeline on this machine, under one policy; `make demo` calls it.

    python pipelines/loan_approval/local_runner.py                     two candidates: with and without race
    python pipelines/loan_approval/local_runner.py --candidates all    also one trained on noise and one with a leak

Everything goes to `demo/` in the clone: the log of TFX and TensorFlow to `demo/log.txt`, so that the terminal shows the
verdicts only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import demonstration  # noqa: E402
from demonstration import shown  # noqa: E402

CLONE = HERE.parents[1]
DEMO = CLONE / "demo"
DATA, LEAKING_DATA = DEMO / "data", DEMO / "leaking_data"
SERVING = DEMO / "serving"
PIPELINE_NAME = "loan_approval"
CANDIDATES = {
    "A sees race": {"sees_race": True},
    "B does not see race": {"sees_race": False},
    "C is B trained on permuted labels": {"sees_race": False, "permutes_labels": True},
    "D is B with a leaked label": {"sees_race": False, "sees_outcome": True},
}
"""What `create_pipeline` is told of each candidate."""

CHOICES = {"two": 2, "all": len(CANDIDATES)}
"""What `--candidates` may be, and how many of them are run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo.

    Args:
      arguments: of the command line; None = those of this process.

    Returns:
      0 where every candidate got its verdict, whatever it is; else 1.
    """
    parser = argparse.ArgumentParser(description="Train, explain and validate candidates of a loan approval model.")
    parser.add_argument(
        "--candidates", choices=list(CHOICES), default="two", help="`all` adds one trained on noise, one with a leak"
    )
    candidates = dict(list(CANDIDATES.items())[: CHOICES[parser.parse_args(arguments).candidates]])
    return demonstration.run_alone(DEMO, partial(_run_candidates, candidates))


def _run_candidates(candidates: Mapping[str, Mapping[str, bool]], terminal: TextIO) -> None:
    print("starting TFX ...", file=terminal, flush=True)
    from loan_approval import data

    n_applications = data.write_csv(DATA)
    data.write_csv(LEAKING_DATA, leaks=True)
    print(
        f"{n_applications:,} mortgage applications, {len(candidates)} candidates, one policy: "
        f"{shown(HERE / 'policy.yaml')}",
        file=terminal,
    )
    for name, switches in candidates.items():
        print(f"\ncandidate {name}", file=terminal, flush=True)
        _run(name, switches, terminal)
        demonstration.print_verdict(DEMO, f"candidate {name}", terminal)
    print(f"\nserving directory {shown(SERVING)}: {', '.join(demonstration.served(SERVING)) or 'empty'}", file=terminal)


def _run(name: str, switches: Mapping[str, bool], terminal: TextIO) -> None:
    from loan_approval import pipeline
    from tfx_explain import ExplainConfig, ValidationConfig

    demonstration.run_pipeline(
        pipeline.create_pipeline(
            pipeline_name=PIPELINE_NAME,
            pipeline_root=str(DEMO / "artifacts"),
            data_root=str(LEAKING_DATA if switches.get("sees_outcome") else DATA),
            serving_dir=str(SERVING),
            explain_config=ExplainConfig.from_file(HERE / "explain.yaml"),
            validation_config=ValidationConfig.from_file(HERE / "policy.yaml"),
            **switches,
            metadata_connection_config=demonstration.metadata(DEMO),
        ),
        f"candidate {name}",
        terminal,
    )


if __name__ == "__main__":
    sys.exit(main())
