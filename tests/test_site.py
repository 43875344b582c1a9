"""The pages of `docs/` become a site without a warning, a dead link or a page that nothing leads to."""

import re
from pathlib import Path

import pytest
from sphinx.cmd.build import build_main

import tfx_explain

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.filterwarnings("default")  # those of Sphinx's own code; what it finds in pages still fails
def test_pages_build_without_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = build_main(["--quiet", "--fail-on-warning", "--keep-going", str(DOCS), str(tmp_path)])
    assert not failed, capsys.readouterr().err
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        address = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert page.stem == "index" or f'href="{address}"' in index, address
    for made in tmp_path.rglob("*.html"):
        asked = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(?:https?:)?//[^"]*"', made.read_text("utf-8"))
        assert not asked, made.name


def test_every_public_name_is_in_the_reference() -> None:
    described = re.findall(r"^\.\. auto\w+:: (\w+)", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(set(tfx_explain.__all__) - {"__version__"})
