"""Prints size and layers of an image, looks for what must not be in it, and runs the compiled loan pipeline inside.

    python tools/image_test.py IMAGE

Each step is a process of its own, as the user of the image, on a read-only root with one writable volume. The pipeline
runs twice, and one try of Explainer is killed. Then LocalDagRunner explains and judges the same model in the image:
attributions and findings have to be equal to the bit. Where the image has Beam's boot, that starts workers for every
component of the pipeline, with Beam's portable runner, which Go builds. Works with docker, podman or buildah; buildah
needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 2_600_000_000
"""Bytes of an image at most; most of them are TensorFlow's."""

UNWANTED = "pytest", "mypy", "ruff", "xgboost", "hypothesis", "importlinter"
"""Modules that are for tests and checks only."""

USER = 65532

BOOT = "/opt/apache/beam/boot"

SOURCES = "tests/support", "pipelines", "tools/make_beam_program"
"""What is put into the volume, at the same places as here."""

SAID = "runner: ", "loan pipeline: ", "equal to the bit: "
"""How the lines begin that tell what became of workers."""

# Namespaces of its own, of which nothing stays: buildah itself cannot make the root of a container read-only.
_ENTER = """
tree=$1 volume=$2
shift 2
mount --bind "$tree" "$tree"
mount -o remount,bind,ro "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount --bind "$volume" "$tree/tmp"
ip link set lo up
exec chroot --userspec=65532:65532 "$tree" "$@"
"""


class Image:
    """An image, and how to run commands in it.

    Args:
      name: of the image.
      volume: directory that commands may write to, as `/tmp`.
      stack: ends what is begun here.
    """

    def __init__(self, name: str, volume: Path, stack: ExitStack) -> None:
        self.name, self.volume, self.engine, self.tree = name, volume, _engine(), ""
        self.variables: list[str] = []
        if self.engine == "buildah":
            # As docker and podman set them by themselves.
            self.variables = json.loads(self._ask("inspect", "--type", "image", name))["OCIv1"]["config"]["Env"]
            container = self._ask("from", "--pull-never", name)
            stack.callback(self._ask, "rm", container)
            self.tree = self._ask("mount", container)

    def _ask(self, *arguments: str) -> str:
        done = subprocess.run([self.engine, *arguments], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def layers(self) -> list[tuple[int, str]]:
        """Bytes of each layer and what made it, the lowest first."""
        if self.engine != "buildah":
            told = self._ask(
                "history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", self.name
            )
            lines = [line.split("\t", 1) for line in reversed(told.splitlines())]
            return [(int(size), made_by) for size, made_by in lines if int(size)]
        image = json.loads(self._ask("inspect", "--type", "image", self.name))["OCIv1"]
        store = json.loads(self._ask("info"))["store"]
        known = Path(store["GraphRoot"], f"{store['GraphDriverName']}-layers", "layers.json")
        layers = json.loads(known.read_text())
        # Those of containers have no digest.
        sizes = {layer["diff-digest"]: layer["diff-size"] for layer in layers if "diff-digest" in layer}
        made = [step["created_by"] for step in image["history"] if not step.get("empty_layer")]
        return [(sizes[digest], made_by) for digest, made_by in zip(image["rootfs"]["diff_ids"], made, strict=True)]

    def run(self, *command: str, environment: Sequence[str] = ()) -> str:
        """Runs a command as the user of the image; returns what it prints, and shows that where it fails."""
        variables = ["TF_CPP_MIN_LOG_LEVEL=2", *environment]
        if self.engine == "buildah":
            fixed = ["/usr/bin/env", "-i", "-C", "/tmp", "HOME=/home/nonroot", *self.variables]
            spaces = ["--mount", "--net", "--pid", "--fork", "--kill-child"]
            begin = ["unshare", *spaces, "bash", "-euc", _ENTER, "_", self.tree]
            program = [*begin, str(self.volume), *fixed, *variables, *command]
        else:
            options = [word for variable in variables for word in ("--env", variable)]
            mount = ["--read-only", "--volume", f"{self.volume}:/tmp", "--workdir", "/tmp", "--entrypoint", ""]
            program = [self.engine, "run", "--rm", *mount, *options, self.name, *command]
        done = subprocess.run(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\n{' '.join(command)[:200]}: exit code {done.returncode}")
        return done.stdout.strip()


def _engine() -> str:
    for engine in os.environ.get("ENGINE", "docker podman buildah").split():
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0:
            return engine
    sys.exit("none of docker, podman and buildah answers.")


def _print_size(image: Image) -> None:
    layers = image.layers()
    for size, made_by in layers:
        print(f"  {size / 1e6:8.1f} MB  {' '.join(made_by.split())[:100]}")
    total = sum(size for size, _ in layers)
    print(f"{image.name}: {total / 1e9:.2f} GB in {len(layers)} layers")
    if total > LIMIT:
        sys.exit(f"at most {LIMIT / 1e9} GB are allowed.")


def _check_content(image: Image) -> None:
    code = f"""
import importlib.util, os
print(os.getuid(), [name for name in {UNWANTED} if importlib.util.find_spec(name)], os.access("/opt/venv", os.W_OK))
"""
    told = image.run("python", "-c", code)
    print(f"user, modules for tests, whether the root can be written: {told}")
    if told != f"{USER} [] False":
        sys.exit("the image is not as it has to be.")


def _fill_volume(image: Image) -> None:
    """Puts sources there, and the applications, which a package makes that the image does without."""
    for source in SOURCES:
        place = image.volume / source
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.parent.mkdir()
            shutil.copy(ROOT / source, place)
    data = image.volume / "data"
    write = f"import pathlib, loan_approval.data as d; d.write_csv(pathlib.Path({str(data)!r}))"
    path = os.pathsep.join([str(ROOT / "pipelines"), str(ROOT / "components")])
    python = ROOT / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", write], check=True, env={**os.environ, "PYTHONPATH": path})
    subprocess.run(["chmod", "-R", "a+rwX", image.volume], check=True)


def _import_path(*places: str) -> str:
    return "PYTHONPATH=" + os.pathsep.join(f"/tmp/{place}" for place in ("tests/support", "pipelines", *places))


def _run_pipeline(image: Image) -> None:
    strike = {"place": "summary", "signal": signal.SIGKILL, "delay": 0, "driver": False, "mark": "/tmp/struck"}
    environment = [_import_path("tests/support/striking"), f"STRIKE={json.dumps(strike)}", "WORKER_ID=step"]
    flags = ["--image", "image", "--pipeline_root", "/tmp", "--output", "/tmp/job.yaml"]
    image.run("python", "-m", "loan_approval.kubeflow_runner", *flags, environment=environment)
    launch = ["python", "-m", "launcher", "/tmp/job.yaml", "--root", "/tmp/artifacts", "--runs", "2", "--tries", "2"]
    print(image.run(*launch, environment=environment), flush=True)
    if not (image.volume / "struck").exists():
        sys.exit("no try of Explainer was killed.")
    compare = ["python", "-m", "launcher.local", "/tmp/artifacts/runs.json", "/tmp/pipelines/loan_approval"]
    said = image.run(*compare, "--root", "/tmp/local", environment=environment).splitlines()
    print(*said[-2:], sep="\n", flush=True)


def _run_workers(image: Image) -> None:
    """Has Beam's boot start workers for every component of the loan pipeline, and compares with one process."""
    if image.run("sh", "-c", f"test -e {BOOT} || echo none"):
        print(f"{image.name} is without Beam's boot: it starts no workers.")
        return
    version = image.run("python", "-c", "import importlib.metadata as m; print(m.version('apache-beam'))")
    make = [ROOT / "tools" / "make_beam_program", "prism", version]
    prism = subprocess.run(make, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    if not prism:
        return
    cache = image.volume / "cache" / "tfx-explain" / "beam"
    cache.mkdir(parents=True)
    shutil.copy(prism, cache)
    environment = [_import_path(), "XDG_CACHE_HOME=/tmp/cache", "PYTHONWARNINGS=ignore"]
    said = image.run(
        *("python", "-m", "portable", "--only", "loans", "--applications", "/tmp/data"), environment=environment
    )
    print(*(line for line in said.splitlines() if line.startswith(SAID)), sep="\n")


def main() -> None:
    """Runs the test; the exit code says how it ended."""
    parser = argparse.ArgumentParser(description="Test an image of the Dockerfile.")
    parser.add_argument("image", nargs="?", default="tfx-explain")
    with ExitStack() as stack:
        volume = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        volume.chmod(0o1777)
        image = Image(parser.parse_args().image, volume, stack)
        _print_size(image)
        _check_content(image)
        _fill_volume(image)
        _run_pipeline(image)
        _run_workers(image)


if __name__ == "__main__":
    main()
