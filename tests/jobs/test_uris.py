"""Everything that a run reads and writes, on each kind of storage: the same bits as on local disk, or one sentence."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import yaml

import buckets
import worlds
from tfx_explain import InputError, cli, explain, load, storage
from tfx_explain.config import ModelConfig
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.rows import concat_rows

CONFIG: dict[str, Any] = {
    "splits": ["eval"],
    "background": {"num_rows": 10},
    "id_key": "application_id",
    "label_key": "approve",
    "max_failed_fraction": 0.1,
    "max_examples": None,
}
SCHEMA = "".join(f'feature {{ name: "{name}" }}\n' for name in (*worlds.FEATURES, "rare"))
MODULE = """import helper
FEATURES = {"age": "float32"}
def load_model(model_dir):
    import lazy
    with open(f"{model_dir}/weight") as file:
        weight = float(file.read())
    return lambda columns: lazy.double(helper.times(weight, columns["age"]))
"""

CELLS = (
    *("examples", "background", "model", "schema", "configuration", "class names", "output", "dead letters"),
    *("report", "baseline explanation", "policy", "verdict"),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, linear_model: str) -> Path:
    """A directory with all that a run reads; one example of 61 is none."""
    root = tmp_path_factory.mktemp("inputs")
    rows = {
        name: [worlds.to_example(row) for row in worlds.make_rows(60, seed)] for seed, name in enumerate(("a", "b"))
    }
    worlds.write_records(root / "examples" / "Split-eval", [*rows["a"], b"no example"], num_shards=2)
    worlds.write_records(root / "background" / "Split-train", rows["b"])
    (root / "schema.pbtxt").write_text(SCHEMA)
    (root / "classes.txt").write_text("refused\napproved\n")
    (root / "policy.yaml").write_text(yaml.safe_dump({"rules": [{"max_share": {"players": ["race"], "value": 0.99}}]}))
    copy(linear_model, str(root / "model"))
    for name, content in {
        "module.py": MODULE,
        "helper.py": "def times(a, b):\n    return a * b\n",
        "lazy.py": "def double(a):\n    return 2 * a\n",
        "unused.py": "",
        "weights/weight": "3.0",
    }.items():
        storage.write_bytes(str(root / "code" / name), content.encode())
    return root


def copy(source: str, target: str) -> None:
    for name in storage.names_beneath(source):
        storage.write_bytes(storage.join(target, name), storage.read_bytes(storage.join(source, name)))


def arguments(root: str, config: str, output: str = "refused") -> dict[str, str]:
    """Of `explain`, with everything beneath a root."""
    paths = {"--model": "model", "--examples": "examples", "--background": "background", "--schema": "schema.pbtxt"}
    return {key: f"{root}/{name}" for key, name in {**paths, "--config": config, "--output": output}.items()}


def run(root: str) -> int:
    """Explains by the command line."""
    config = {**CONFIG, "class_names": f"{root}/classes.txt"}
    storage.write_bytes(f"{root}/config.yaml", yaml.safe_dump(config).encode())
    given = arguments(root, "config.yaml", "explanation")
    return cli.main(["explain", *(text for pair in given.items() for text in pair)])


@pytest.fixture(scope="module")
def on_disk(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The root of a run on local disk."""
    root = str(tmp_path_factory.mktemp("disk"))
    copy(str(inputs), root)
    assert run(root) == 0
    return root


@pytest.fixture(scope="module", params=["file", "memory", "s3", "gs"])
def root(request: pytest.FixtureRequest, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URI of each kind, under which all that a run reads is."""
    with contextlib.ExitStack() as servers:
        uri = {
            "file": lambda: f"file://{tmp_path_factory.mktemp('uris')}",
            "memory": lambda: "memory://uris",
            "s3": lambda: servers.enter_context(buckets.s3()),
            "gs": lambda: servers.enter_context(buckets.gcs()),
        }[request.param]()
        copy(str(inputs), f"{uri}/root")
        yield f"{uri}/root"
        storage.remove(f"{uri}/root")


def test_a_whole_run_gives_the_bits_of_local_disk(root: str, on_disk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root) == 0
    made, reference = load(f"{root}/explanation"), load(f"{on_disk}/explanation")
    made.verify()
    ours, theirs = (one.attributions().sort_values("application_id") for one in (made, reference))
    assert len(ours) == 60
    for name in ours:
        np.testing.assert_array_equal(ours[name].to_numpy(), theirs[name].to_numpy(), err_msg=name)
    np.testing.assert_array_equal(made.importance["value"], reference.importance["value"])
    assert list(made.dead_letters()["reason"]) == ["the record is not a tf.Example"]
    # The digests of equal models are equal, and the manifest says where this one was.
    assert made.manifest["model"]["digest"] == reference.manifest["model"]["digest"]
    assert made.manifest["background"]["digest"] == reference.manifest["background"]["digest"]
    assert storage.place(made.manifest["model"]["uri"]) == storage.place(root)
    there = set(storage.names_beneath(f"{root}/explanation"))
    assert there == set(storage.names_beneath(f"{on_disk}/explanation"))

    explanation = f"{root}/explanation"
    judged = ["--explanation", explanation, "--baseline", explanation, "--config", f"{root}/policy.yaml"]
    assert cli.main(["validate", *judged, "--output", f"{root}/verdict"]) == 0
    assert storage.names(f"{root}/verdict") == [
        "BLESSED",
        "findings.json",
        "history.parquet",
        "report.html",
        "verdict.html",
    ]
    assert cli.main(["report", explanation, "--output", f"{root}/page.html"]) == 0
    assert storage.read_bytes(f"{root}/page.html") == storage.read_bytes(f"{explanation}/report.html")
    capsys.readouterr()
    with capsys.disabled():
        print(f"\n{root.partition('://')[0]}://: {', '.join(CELLS)}: work, with the bits of local disk")


def test_a_module_file_comes_with_what_it_imports(root: str, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handles = [
        ModelHandle(f"{place}/code/weights", ModelConfig(module_file=f"{place}/code/module.py")).identified()
        for place in (root, str(inputs))
    ]
    assert handles[0].identity == handles[1].identity
    rows, _ = read_rows(f"{inputs}/background/Split-train/*")
    one, other = (handle.acquire() for handle in handles)
    predicted = one.predict(one.inputs(rows))
    np.testing.assert_array_equal(predicted, other.predict(other.inputs(rows)))
    handles[0].check(one)
    storage.write_bytes(f"{root}/code/helper.py", b"def times(a, b):\n    return a * b + 1\n")
    changed = ModelHandle(handles[0].model_dir, handles[0].config).identified()
    assert changed.identity != handles[0].identity
    model = changed.acquire()
    np.testing.assert_array_equal(model.predict(model.inputs(rows)), predicted + 2)
    np.testing.assert_array_equal(one.predict(one.inputs(rows)), predicted)
    with capsys.disabled():
        print(f"\n{root.partition('://')[0]}://: module file with what it imports: works, with the bits of local disk")


def read_rows(pattern: str) -> Any:
    from tfx_explain import records
    from tfx_explain.tfrecords import read_records

    found = [record for uri in storage.data_files(pattern) for record in read_records(uri)]
    batches, failed = records.decode_examples(found)
    return concat_rows(batches), failed


BAD = [
    ("--output", "{nowhere}/out", r"{nowhere}/out/\S+ cannot be written"),
    ("--examples", "{nowhere}/a*", r"there is no file {nowhere}/a\*"),
    ("--model", "{nowhere}/model", r"there is no model at {nowhere}/model: the directory does not exist"),
    ("--schema", "{nowhere}/schema.pbtxt", r"there is no file {nowhere}/schema.pbtxt"),
    ("--config", "{nowhere}/config.yaml", r"cannot read the configuration {nowhere}/config.yaml"),
    ("--model", "{root}/half", r"The SavedModel at {root}/half cannot be loaded"),
    ("--model", "models://forest/1", r"models://forest/1 is on no storage known here"),
    ("--output", "{root}/examples", r"the output directory {root}/examples is not empty"),
    ("--output", "{root}/schema.pbtxt", r"the output directory {root}/schema.pbtxt is a file"),
]


@pytest.mark.parametrize("root", ["s3", "gs"], indirect=True)
@pytest.mark.parametrize(("key", "value", "said"), BAD)
def test_what_cannot_be_used_is_one_sentence_and_nothing_is_left(
    root: str, key: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"{root.partition('://')[0]}://no-such-bucket"
    storage.write_bytes(f"{root}/few.yaml", yaml.safe_dump(CONFIG).encode())
    storage.write_bytes(f"{root}/half/saved_model.pb", storage.read_bytes(f"{root}/model/saved_model.pb"))
    given = {**arguments(root, "few.yaml"), key: value.format(root=root, nowhere=nowhere)}
    assert cli.main(["explain", *(text for pair in given.items() for text in pair)]) == 2
    told = capsys.readouterr().err
    assert re.search(said.format(root=re.escape(root), nowhere=re.escape(nowhere)), told), told
    assert told.count("\n") == 1
    assert "Traceback" not in told
    assert storage.names_beneath(f"{root}/refused") == []
    assert not storage.exists(nowhere)


@pytest.mark.parametrize(
    "given", ["model", "examples", "output_dir", "background", "baseline_model", "transform_graph"]
)
def test_worker_processes_are_not_given_files_in_memory(given: str, tmp_path: Path) -> None:
    paths = {name: str(tmp_path / name) for name in ("model", "examples", "output_dir")}
    with pytest.raises(InputError, match=r"memory://root/a is in the memory of this process"):
        explain(**{**paths, given: "memory://root/a"}, beam_args=["--direct_num_workers=2"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("root", ["s3"], indirect=True)
def test_a_run_that_fails_half_way_leaves_nothing(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write_bytes(f"{root}/strict.yaml", yaml.safe_dump({**CONFIG, "max_failed_fraction": 0.0}).encode())
    assert cli.main(["explain", *(text for pair in arguments(root, "strict.yaml").items() for text in pair)]) == 2
    assert "1 of 61 rows of split `eval` could not be explained" in capsys.readouterr().err
    assert storage.names_beneath(f"{root}/refused") == []


def test_without_credentials_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with buckets.s3() as bucket, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        assert cli.main(["validate", "--explanation", f"{bucket}-2/a", "--config", "policy.yaml"]) == 2
    assert re.search(r"^tfx-explain: s3://tests-2/\S+ .*credentials.*\n$", capsys.readouterr().err)
