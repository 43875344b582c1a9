"""What `tfx-explain estimate` says, and what `tfx-explain explain` then takes: model rows, seconds, peak memory, bytes.

Both are run as programs. Without arguments on 100,000 generated rows; what is measured wants a quiet machine.

    python benchmarks/estimates.py
    python benchmarks/estimates.py --model DIR --examples DIR --config FILE      of a pipeline, say
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_ROWS, N_FEATURES = 100_000, 10


def make(directory: Path) -> list[str]:
    """Saves a model and rows that it takes, and gives the options that name them."""
    import numpy as np
    import tensorflow as tf

    names = [f"x{place}" for place in range(N_FEATURES)]
    weights = tf.constant(np.linspace(-1, 1, N_FEATURES), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {name: tf.io.FixedLenFeature([], tf.float32) for name in names})
        columns = tf.stack([parsed[name] for name in names], axis=1)
        return {"score": tf.reduce_sum(tf.nn.relu(columns * weights), axis=1)}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(directory / "model"), signatures=serve)
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(directory / "rows.tfrecord")) as writer:
        for row in rng.normal(size=(N_ROWS, N_FEATURES)):
            features = {
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                for name, value in zip(names, row, strict=True)
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    config = {"max_examples": None, "background": {"num_rows": 16}, "model": {"output_space": "raw"}}
    (directory / "config.json").write_text(json.dumps(config))
    named = {"--model": "model", "--examples": "rows.tfrecord", "--config": "config.json"}
    return [text for option, name in named.items() for text in (option, str(directory / name))]


def run(command: str, options: list[str]) -> tuple[dict[str, object], float, int]:
    """What a command prints, how many seconds it takes, and its peak memory in bytes."""
    started = time.monotonic()
    program = [sys.executable, "-m", "tfx_explain.cli", command, *options, "--format", "json"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"`tfx-explain {command}` ended with {os.waitstatus_to_exitcode(status)}")
    return json.loads(said), time.monotonic() - started, usage.ru_maxrss * 1024


def main() -> None:
    """Prints a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("model", "examples", "config", "transform-graph"):
        parser.add_argument(f"--{name}")
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as directory:
        options = [text for name, value in given.items() if value for text in (f"--{name.replace('_', '-')}", value)]
        options = options or make(Path(directory))
        forecast, seconds_of_estimate, _ = run("estimate", options)
        output = Path(directory, "explanation")
        _, seconds, memory = run("explain", [*options, "--output", str(output)])
        manifest = json.loads((output / "manifest.json").read_text())
        model_rows = sum(counts["model_rows"] for counts in manifest["counts"].values())
        model_rows += sum(manifest["background"]["model_rows"].values())
        n_bytes = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"rows: {forecast['rows']}; the estimate took {seconds_of_estimate:.1f} s")
    for what, real in (
        ("model_rows", model_rows),
        ("seconds", seconds),
        ("memory_bytes", memory),
        ("output_bytes", n_bytes),
    ):
        print(f"{what}: estimated {forecast[what]:,.0f}, real {real:,.0f} ({forecast[what] / real:.2f} of it)")


if __name__ == "__main__":
    main()
