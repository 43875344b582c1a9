"""Other explainers live in environments of their own: they do not install beside TFX.

`run(program, *arguments)` runs a program of this folder there and returns the JSON that it prints last. An environment
(`.cache/peers`, `.cache/shap`) is made when it is first needed.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / ".cache"
_UV = _CACHE / "uv" / "bin" / "uv"


@dataclasses.dataclass(frozen=True)
class Environment:
    """Where programs of others run.

    Attributes:
      name: of its directory.
      packages: what it has.
      pythons: versions to look for, in this order; where there is none of them, that of the main environment is taken.
    """

    name: str
    packages: tuple[str, ...]
    pythons: tuple[str, ...] = ()

    def python(self) -> Path:
        """Its Python."""
        directory = _CACHE / self.name
        python, complete, packages = directory / "bin" / "python", directory / "complete", "\n".join(self.packages)
        if not complete.exists() or complete.read_text() != packages:
            print(f"making the environment {directory} (once) ...", file=sys.stderr)
            base = next(filter(None, map(_found, self.pythons)), str(ROOT / ".venv" / "bin" / "python"))
            subprocess.run([_UV, "venv", "-q", "--clear", "--python", base, directory], check=True)
            command = [_UV, "pip", "install", "-q", "--compile-bytecode", "--python", python, *self.packages]
            subprocess.run(command, check=True)
            complete.write_text(packages)
        return python


def _found(version: str) -> str | None:
    """A Python of this machine; None where there is none."""
    command = [_UV, "python", "find", "--no-python-downloads", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


PEERS = Environment(
    "peers",
    # The newest shap for TFX 1.16's Python, and its TensorFlow, so that both sides call the same model alike.
    (
        "shap==0.49.1",
        "sage-importance==0.0.5",
        "saliency==0.2.1",
        "scikit-image==0.25.2",
        "tensorflow-cpu==2.16.2",
        "scikit-learn==1.5.1",
        "numpy<2",
    ),
)
SHAP = Environment(
    "shap",
    # Today's shap, and what `tfx_explain.load` imports.
    (
        "shap",
        "matplotlib",
        "fsspec",
        "google-crc32c",
        "jinja2",
        "pandas",
        "pyarrow",
        "pydantic>=2",
        "pyyaml",
        "regex",
        "scipy",
        "tensorflow-metadata",
        "tfx-bsl",
        "typing-extensions",
    ),
    ("3.13", "3.12", "3.11"),
)


def run(program: str, *arguments: str, environment: Environment = PEERS) -> Any:
    """Runs `benchmarks/<program>` among the peers."""
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [environment.python(), ROOT / "benchmarks" / program, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    return json.loads(done.stdout.strip().splitlines()[-1])
