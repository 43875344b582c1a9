"""Which TFX `tools/make_env` chooses on which machine, and what it says to one that cannot serve."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "bash",
    "cat",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "id",
    "ls",
    "mkdir",
    "rm",
    "sha256sum",
    "sort",
    "uname",
)


class Machine:
    """A copy of the clone's set-up files and a PATH that holds nothing but what a test puts there."""

    def __init__(self, directory: Path, glibc: str) -> None:
        self.clone, self.path, self.home = directory / "clone", directory / "path", directory / "home"
        for made in (self.path, self.home, self.clone / "components/tfx_explain"):
            made.mkdir(parents=True)
        for item in ("tools", "requirements"):
            shutil.copytree(ROOT / item, self.clone / item)
        for file in ("setup.py", "pyproject.toml", "components/tfx_explain/version.py"):
            shutil.copy(ROOT / file, self.clone / file)
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or tool)
        self.add("getconf", f"echo glibc {glibc}")
        self.add("uname", "echo Linux x86_64")
        self.add("getent", "exit 2")

    def add(self, name: str, script: str, directory: Path | None = None) -> None:
        file = (directory or self.path) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(f"#!{self.path}/bash\n{script}\n")
        file.chmod(0o755)

    def add_python(self, version: str, *, headers: bool = True, directory: Path | None = None, name: str = "") -> None:
        """A stand-in that answers the two questions make_env asks: its version, and whether it has C headers."""
        answers = f"*version_info*) echo {version} ;; *Python.h*) exit {0 if headers else 1} ;; *) exit 1 ;;"
        self.add(name or f"python{version}", f'case "$2" in {answers} esac', directory)

    def make_env(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.path / "bash"), "tools/make_env", *arguments]
        environment = {"PATH": str(self.path), "HOME": str(self.home)}
        return subprocess.run(command, cwd=self.clone, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("glibc", "pythons", "tfx"),
    [
        ("2.36", ["3.10"], "1.16"),
        ("2.36", ["3.10", "3.13"], "1.16"),
        ("2.38", ["3.12", "3.10"], "1.16"),
        ("2.39", ["3.10", "3.11"], "1.21"),
        ("2.41", ["3.13"], "1.21"),
        ("2.100", ["3.12"], "1.21"),
        ("2.41", ["3.10"], "1.16"),
        ("2.41", ["3.14"], "1.21"),
        ("2.36", ["3.13"], "1.16"),
    ],
)
def test_chooses_the_tfx_that_fits(tmp_path: Path, glibc: str, pythons: list[str], tfx: str) -> None:
    machine = Machine(tmp_path, glibc)
    for version in pythons:
        machine.add_python(version)
    assert machine.make_env("--which").stdout == f"{tfx}\n"


def test_a_shim_without_a_python_behind_it_does_not_count(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.41")
    machine.add("python3.13", "echo 'command not found' >&2; exit 127")
    machine.add_python("3.10", directory=machine.home / ".pyenv/versions/3.10.13/bin", name="python3")
    assert machine.make_env("--which").stdout == "1.16\n"


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ([], "python3-venv"),
        (["python without venv"], "python3-venv"),
        (["python3.10"], "g++"),
        (["python3.10 without headers", "g++"], "python3.10-dev"),
    ],
)
def test_says_in_one_sentence_what_is_missing(tmp_path: Path, present: list[str], missing: str) -> None:
    machine = Machine(tmp_path, "2.36")
    for name in present:
        if name == "g++":
            machine.add(name, "exit 0")
        elif name == "python without venv":
            machine.add_python("3.9", name="python3")
        else:
            machine.add_python("3.10", headers="without" not in name)
    done = machine.make_env()
    assert done.returncode != 0
    assert done.stderr.startswith("env: ")
    assert done.stderr.count("\n") == 1
    assert missing in done.stderr
    assert not (machine.clone / ".venv").exists()


def test_refuses_a_machine_that_tfx_has_no_wheels_for(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "2.41")
    machine.add_python("3.13")
    machine.add("uname", "echo Linux aarch64")
    done = machine.make_env()
    assert done.returncode != 0
    assert "aarch64" in done.stderr
    assert done.stderr.count("\n") == 1
