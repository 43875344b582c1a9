"""Global explanations of few rows and many: time per row, peak memory, and two worker processes against one.

Every run has a process of its own, which first explains 1,000 rows three times: the later ones say what starting a job
costs, which is taken off. Few rows are explained by three processes. All rows of one gzipped file are explained: 30
features of the network of `network.py`, over all rows and in four slices:
Shapley values, partial dependence with a surface, accumulated local effects, Friedman's H, statistics of attributions.

    python benchmarks/global_scale.py
    python benchmarks/global_scale.py --rows 10000 100000 1000000     some minutes more
    python benchmarks/global_scale.py --workers 0                     without the worker processes
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_START = 1_000
N_RUNS_OF_FEW = 3
N_FEW = 10_000
N_SEGMENTS = 4
N_WRITTEN_AT_ONCE = 10_000

CONFIG = {
    "model": {"signature": "raw", "output_space": "raw"},
    "background": {"num_rows": 4},
    "max_examples": None,
    "slicing_specs": [{"feature_keys": ["segment"]}],
    "methods": [
        {"shapley": {"estimator": "leverage", "budget": 120}},
        {"partial_dependence": {"grid_size": 8, "pairs": [["x00", "x01"]], "pair_grid_size": 6}},
        {"accumulated_local_effects": {"num_bins": 8}},
        {"interaction_strength": {"num_rows": 100}},
    ],
}


def write_examples(directory: Path, n_rows: int, seed: int) -> None:
    """Rows of the network's features and a segment, in one file."""
    import network
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf

    from tfx_explain import records

    rng, x = np.random.default_rng(seed), network.features()
    directory.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / "data-00000-of-00001.gz"), "GZIP") as writer:
        for start in range(0, n_rows, N_WRITTEN_AT_ONCE):
            n = min(N_WRITTEN_AT_ONCE, n_rows - start)
            rows = x[rng.integers(len(x), size=n)] + 0.1 * rng.normal(size=(n, network.N_FEATURES)).astype(np.float32)
            columns = [pa.array(list(column[:, None]), pa.large_list(pa.float32())) for column in rows.T]
            segments = rng.integers(N_SEGMENTS, size=(n, 1))
            columns.append(pa.array(list(segments), pa.large_list(pa.int64())))
            batch = pa.RecordBatch.from_arrays(columns, names=[*network.NAMES, "segment"])
            for record in records.encode_examples(batch):
                writer.write(record)


def make_data(root: Path, rows: list[int]) -> None:
    """The model, and examples of each size."""
    import network

    network.train_and_save(root / "model")
    for n in [N_START, *rows]:
        write_examples(root / str(n) / "Split-train", 5_000, seed=1)
        write_examples(root / str(n) / "Split-eval", n, seed=2)


def explain(root: Path, n: int, beam_args: list[str]) -> None:
    """Explains N_START rows three times, then n; prints the seconds of the later ones and the peak memory in MiB."""
    from tfx_explain import api

    seconds = []
    for rows in (N_START, N_START, N_START, n):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as output:
            api.explain(
                model=str(root / "model"),
                examples=str(root / str(rows)),
                output_dir=f"{output}/out",
                config=CONFIG,
                beam_args=beam_args,
            )
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"start": statistics.mean(seconds[1:3]), "seconds": seconds[3], "peak_mib": peak}))


def in_process(root: Path, *arguments: str, threads: int | None = None) -> dict[str, float]:
    """Runs this program in another process; `threads` of TensorFlow in it and its workers."""
    environment = dict(os.environ)
    if threads is not None:
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        environment |= dict.fromkeys(names, str(threads))
    command = [sys.executable, __file__, "--in", str(root), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads((done.stdout.strip() or "{}").splitlines()[-1])


def milliseconds_per_row(run: dict[str, float], n: int) -> float:
    """What each row adds."""
    return 1_000 * (run["seconds"] - run["start"]) / (n - N_START)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, default=100_000, help="rows that one and two worker processes explain")
    parser.add_argument("--in", dest="root", help=argparse.SUPPRESS)
    parser.add_argument("--write", type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--explain", type=int, help=argparse.SUPPRESS)
    arguments, beam_args = parser.parse_known_args()
    if arguments.write:
        make_data(Path(arguments.root), arguments.write)
    elif arguments.explain:
        explain(Path(arguments.root), arguments.explain, beam_args)
    else:
        measure(arguments.rows, arguments.workers)


def measure(rows: list[int], n_of_workers: int) -> None:
    """Runs everything."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        in_process(root, "--write", *map(str, sorted({*rows, n_of_workers} - {0})))
        times, peaks = {}, {}
        for n in rows:
            runs = [in_process(root, "--explain", str(n)) for _ in range(N_RUNS_OF_FEW if n <= N_FEW else 1)]
            times[n] = statistics.median(milliseconds_per_row(run, n) for run in runs)
            peaks[n] = statistics.median(run["peak_mib"] for run in runs)
            start = statistics.median(run["start"] for run in runs)
            print(f"{n:>9,} rows: {times[n]:.3f} ms a row, {peaks[n]:,.0f} MiB, start-up {start:.1f} s", flush=True)
        figures = {
            "time_per_row": {n: value / times[rows[0]] for n, value in times.items()},
            "peak_memory": {n: value / peaks[rows[0]] for n, value in peaks.items()},
        }
        if n_of_workers:
            of_workers = {}
            for n_workers in (1, 2):
                beam_args = [f"--direct_num_workers={n_workers}", "--direct_running_mode=multi_processing"]
                run = in_process(root, "--explain", str(n_of_workers), *beam_args, threads=1)
                of_workers[n_workers] = milliseconds_per_row(run, n_of_workers)
                print(f"{n_workers} single-threaded workers: {of_workers[n_workers]:.3f} ms a row", flush=True)
            figures["two_workers"] = of_workers[1] / of_workers[2]
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
