"""Runs the pipeline of film reviews on this machine; `make demo-texts` calls it.

    python pipelines/reviews/local_runner.py

Everything goes to `demo/reviews/` in the clone: the log of TFX and TensorFlow to `log.txt` there, so that the terminal
shows the verdict only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import demonstration  # noqa: E402

DEMO = HERE.parents[1] / "demo" / "reviews"


def main() -> int:
    """Runs the demo.

    Returns:
      0 where the model got its verdict, whatever it is; else 1.
    """
    return demonstration.run_alone(DEMO, run)


def run(terminal: TextIO) -> None:
    """Writes the data, runs the pipeline, and says what came of it.

    Args:
      terminal: what a person reads.
    """
    print("starting TFX ...", file=terminal, flush=True)
    # TensorFlow writes to the terminal while it is imported, so this waits for the redirection.
    import gated_pipeline
    from reviews import data, module
    from tfx_explain import ExplainConfig, ValidationConfig

    count = data.write_examples(DEMO / "data")
    policy = HERE / "policy.yaml"
    print(f"{count:,} film reviews, policy: {demonstration.shown(policy)}\n", file=terminal, flush=True)
    pipeline = gated_pipeline.create_pipeline(
        module=module,
        directory=DEMO,
        explain_config=ExplainConfig.from_file(HERE / "explain.yaml"),
        validation_config=ValidationConfig.from_file(policy),
        metadata_connection_config=demonstration.metadata(DEMO),
    )
    demonstration.run_pipeline(pipeline, "the pipeline", terminal)
    demonstration.print_verdict(DEMO, "the pipeline", terminal)


if __name__ == "__main__":
    sys.exit(main())
