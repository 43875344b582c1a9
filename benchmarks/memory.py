"""Peak memory of a whole run, from few rows to many and from a small budget to a large one.

Each run has a process of its own; its peak resident memory counts TensorFlow and Beam, the job and the report.

    python benchmarks/memory.py
    python benchmarks/memory.py --rows 1000 10000
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
from pathlib import Path

import network

from tfx_explain import api  # imports what a run needs before the processes part ways

D = network.N_FEATURES
N_BACKGROUND = 5


def peak_mib(model_dir: str, examples: str, per_player: int) -> float:
    """Peak memory of explaining all rows with a budget of so many coalitions per player, in MiB."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_explain, args=(sender, model_dir, examples, per_player * D))
    process.start()
    sender.close()
    peak = receiver.recv()
    process.join()
    return float(peak)


def _explain(sender: object, model_dir: str, examples: str, budget: int) -> None:
    config = {
        "methods": [{"shapley": {"estimator": "leverage", "budget": budget}}],
        "model": {"signature": "raw", "output_space": "raw"},
        "background": {"num_rows": N_BACKGROUND},
        "max_examples": None,
    }
    with tempfile.TemporaryDirectory() as output:
        api.explain(model=model_dir, examples=examples, output_dir=f"{output}/out", config=config)
    sender.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=2, default=[1_000, 100_000])
    parser.add_argument("--per-player", type=int, nargs=2, default=[4, 64])
    arguments = parser.parse_args()
    few, many = arguments.rows
    small, large = arguments.per_player
    with tempfile.TemporaryDirectory() as scratch:
        model_dir = str(Path(scratch) / "model")
        context = multiprocessing.get_context("fork")
        for target, args in [
            (network.train_and_save, (Path(model_dir),)),
            *[(_write, (Path(scratch) / str(n), n)) for n in arguments.rows],
        ]:
            process = context.Process(target=target, args=args)
            process.start()
            process.join()
        runs = {(few, small): 0.0, (many, small): 0.0, (few, large): 0.0}
        for n, per_player in runs:
            runs[n, per_player] = peak_mib(model_dir, str(Path(scratch) / str(n)), per_player)
            print(f"{n:>8,} rows, {per_player:>2} d coalitions: {runs[n, per_player]:>7,.0f} MiB", flush=True)
    base = runs[few, small]
    print(json.dumps({"rows": runs[many, small] / base, "budget": runs[few, large] / base}))


def _write(directory: Path, n_rows: int) -> None:
    network.write_examples(directory / "Split-train", 1_000, seed=1)
    network.write_examples(directory / "Split-eval", n_rows, seed=2)


if __name__ == "__main__":
    main()
