"""What differs from a list of files, of any kind of difference; what others put beside an explanation is theirs."""

import hashlib
from pathlib import Path

from tfx_explain.listed_files import differences, explanation_files


def test_gone_added_and_changed_files_are_told_apart(tmp_path: Path) -> None:
    for name in ("same", "changed", "added"):
        (tmp_path / name).write_text(name)
    listed = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("same", "gone")} | {"changed": "0" * 64}
    found = list(differences(str(tmp_path), listed, ["same", "changed", "added"]))
    assert found == [(f"{tmp_path}/{name}", name) for name in ("gone", "added", "changed")]


def test_an_explanation_lists_what_its_run_wrote_but_manifest_and_report(tmp_path: Path) -> None:
    for name in ("manifest.json", "report.html", "importance.parquet", "images/x.png", "notes.txt", "attributions/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert explanation_files(str(tmp_path)) == ["images/x.png", "importance.parquet"]
