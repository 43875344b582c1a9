"""What images hold: the versions that are tested here, each file by its hash, and nothing for tests and checks."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def versions(lock: str) -> dict[str, set[str]]:
    """Package -> its versions; the lock of several Pythons may have more than one."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("tfx", ["1.16", "1.21"])
def test_an_image_holds_what_is_tested_less_what_tests(tfx: str) -> None:
    lock = (REQUIREMENTS / f"image-{tfx}.txt").read_text(encoding="utf-8")
    ours, tested = versions(lock), versions((REQUIREMENTS / f"tfx-{tfx}.txt").read_text(encoding="utf-8"))
    assert {"tfx", "tensorflow", "apache-beam", "gcsfs", "s3fs", "kfp-pipeline-spec"} <= set(ours)
    assert {name: found for name, found in ours.items() if name in tested and found != tested[name]} == {}
    checks = re.findall(r"^[\w-]+", (REQUIREMENTS / "checks.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(checks) & set(ours) <= {"setuptools", "wheel"}  # which packages without a wheel are built with
    for entry in re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry, entry
