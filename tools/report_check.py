"""Opens reports of all kinds of models in Chromium: wide, narrow and in print, with axe-core; says what is wrong.

make report-check
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import browser
import report_kinds

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".cache/report-check"
AXE = "axe-core@4.10.3"
WIDTHS = (1280, 400)
PAGE_PIXELS = (718, 1047)  # A4 at 96 pixels an inch, less the margins
_SERIOUS = ("serious", "critical")

_TOO_WIDE = """[...document.querySelectorAll(".tfxe *")].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width > 0 && box.right > innerWidth + 1 && !one.closest(".scroll");
}).slice(0, 3).map(one => `${one.tagName} ${one.className} ${Math.round(one.getBoundingClientRect().right)}`)"""
_CUT = """[...document.querySelectorAll(".scroll, pre, .spans")].filter(one => one.checkVisibility() &&
  (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1))
  .map(one => `${one.getAttribute("aria-label")} (${one.scrollWidth} of ${one.clientWidth})`)"""
_RUN_AXE = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(
  one => [one.impact, one.id, one.nodes.length, one.nodes[0].html.slice(0, 160)]))"""

_USE = """(() => {
  const found = [], all = selector => [...document.querySelectorAll(selector)];
  const change = (one, value) => { one.value = value; one.dispatchEvent(new Event("change")); };
  all("details").forEach(one => one.open = true);
  for (const section of all("[data-rows]")) {
    if (!section.querySelector("input")) { found.push("the script did not run"); continue; }
    const ids = [...section.querySelectorAll("datalist option")].map(one => one.value);
    const chosen = () => section.querySelector(".chosen").textContent;
    change(section.querySelector("input"), ids.at(-1));
    if (!chosen().includes(ids.at(-1)) || !section.querySelector(".chosen table")) found.push("no row for its name");
    const told = one => one.querySelectorAll(".reasons, .reasons + .note").length > 0;
    if (told(section.closest(".tfxe")) && !chosen().includes("Reasons for")) found.push("no reasons of a chosen row");
    change(section.querySelector("input"), "nobody");
    if (!chosen().startsWith("No such row")) found.push("an unknown row is not told");
  }
  for (const section of all("[data-scatter]")) {
    const select = section.querySelector("select");
    if (!select) continue;
    const n = section.querySelectorAll("circle").length, was = section.querySelector("svg").ariaLabel;
    change(select, select.options.length - 1);
    if (section.querySelectorAll("circle").length !== n) found.push("a feature has other rows");
    if (section.querySelector("svg").ariaLabel === was) found.push("a chosen feature is not drawn");
  }
  for (const table of all("table.sortable")) {
    const head = [...table.tHead.rows[0].cells].findIndex(one => one.matches(".num") && one.querySelector("button"));
    if (head < 0) continue;
    table.tHead.rows[0].cells[head].querySelector("button").click();
    const shown = [...table.tBodies[0].rows].filter(row => !row.matches(".fixed")).map(row => {
      const cell = row.cells[head], text = cell.querySelector("data")?.value ?? cell.textContent;
      return Number.parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
    }).filter(one => !Number.isNaN(one));
    if (shown.some((one, at) => at && shown[at - 1] < one)) found.push(`not sorted: ${table.ariaLabel}`);
  }
  for (const field of all("input[type=search]")) {
    const body = field.closest(".choose").nextElementSibling.querySelector("tbody");
    const shown = () => [...body.rows].filter(row => !row.hidden).length, n = shown();
    const wanted = body.rows[3].cells[0].textContent;
    field.value = wanted;
    field.dispatchEvent(new Event("input"));
    if (!(shown() >= 1 && shown() <= n)) found.push("the filter hides all");
    field.value = "nothing is called this";
    field.dispatchEvent(new Event("input"));
    if (shown() > 1) found.push("the filter hides nothing");
    field.value = "";
    field.dispatchEvent(new Event("input"));
  }
  return found;
})()"""
"""Chooses, sorts and filters as a reader does, and tells what did not come of it."""


def axe_source() -> str | None:
    """axe-core's program; None where npm is missing."""
    folder = FOLDER / "npm"
    program = folder / "node_modules/axe-core/axe.min.js"
    wanted = f'"version": "{AXE.partition("@")[2]}"'
    package = program.with_name("package.json")
    if not (package.exists() and wanted in package.read_text()):
        if shutil.which("npm") is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, AXE], check=True)
    return program.read_text()


def faults(page: browser.OpenPage, width: int, axe: str | None) -> Iterator[str]:
    """What is wrong with an open page in a window of some width."""
    page.resize(width)
    if page.evaluate("document.documentElement.scrollWidth") > width:
        yield f"is wider than {width} pixels: {page.evaluate(_TOO_WIDE)}"
    if axe is not None:
        page.evaluate(f"{axe};0")
        for impact, rule, n, example in page.evaluate(_RUN_AXE):
            if impact in _SERIOUS:
                yield f"axe-core at {width}: {rule} ({impact}) {n} times, as {example}"


def faults_in_print(page: browser.OpenPage, to: Path) -> Iterator[str]:
    """What printing cuts off, and whether it wastes paper."""
    page.resize(*PAGE_PIXELS, media="print")
    for cut in page.evaluate(_CUT):
        yield f"in print cut off: {cut}"
    needed = page.evaluate("document.documentElement.scrollHeight") / PAGE_PIXELS[1]
    pdf = page.pdf()
    to.write_bytes(pdf)
    n_pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    if n_pages > 1.25 * needed + 1:
        yield f"takes {n_pages} pages of paper for {needed:.1f} pages of content"


def check(running: browser.Browser, name: str, axe: str | None) -> list[str]:
    """What is wrong with the page of one kind; pictures of it are kept."""
    path = FOLDER / f"{name}.html"
    path.write_text(report_kinds.KINDS[name](), encoding="utf-8")
    size, found = path.stat().st_size, []
    if size > report_kinds.MAX_BYTES:
        found.append(f"has {size:,} bytes")
    with browser.opened(running, path) as page:
        for width in WIDTHS:
            found += faults(page, width, axe)
            page.screenshot(path.with_suffix(f".{width}.png"))
        found += faults_in_print(page, path.with_suffix(".pdf"))
        found += page.evaluate(_USE)
        for width in WIDTHS:
            found += [f"in use {fault}" for fault in faults(page, width, axe)]
        page.screenshot(path.with_suffix(".used.png"))
        found += [f"says {said}" for said in page.said] + [f"asks for {url}" for url in page.asked_for]
    print(f"{name:<14} {size:>10,} bytes  {'; '.join(found) or 'nothing found'}")
    return found


def main() -> int:
    """Checks all kinds, or those that are named."""
    executable = browser.found()
    if executable is None:
        print("Chromium is missing: install the package `chromium`.")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    axe = axe_source()
    if axe is None:
        print("axe-core is not run: npm is missing; install the package `npm`.")
    with browser.running(executable) as running:
        found = {name: check(running, name, axe) for name in sys.argv[1:] or report_kinds.KINDS}
    (FOLDER / "found.json").write_text(json.dumps(found, indent=1))
    print(f"Pages, pictures and PDFs are in {FOLDER.relative_to(ROOT)}.")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
