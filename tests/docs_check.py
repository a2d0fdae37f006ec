"""The book in a real browser, at the width of a screen and of a telephone, light and dark: ``make docs-check``.

Pages are opened, links followed, the search used. It fails on an error in the console, a request that leaves the
site or finds nothing, a formula that was not set or is cut off, and a page that is wider than the window.
"""

import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SITE = Path(__file__).parents[1] / "docs" / "_build"
PAGES = (
    "index.html",
    "wings/bandits.html",
    "wings/mdp.html",
    "tutorials/rate-plot.html",
    "tutorials/bilevel.html",
    "howto/sweeps.html",
    "gallery/index.html",
    "gallery/bandit-rates.html",
    "reference/pessimism.bandits.bounds.html",
    "reference/pessimism.bandits.risk.html",
    "claims/theorems.html",
)
CUT_OFF = """() => [...document.querySelectorAll("mjx-container")].filter((formula) => {
  let box = formula;
  while (box.parentElement && !["auto", "scroll"].includes(getComputedStyle(box).overflowX)) box = box.parentElement;
  return (box.parentElement ? box : formula).getBoundingClientRect().right > innerWidth;
}).length"""
"""Formulas that end outside the window and in no box that scrolls."""

# without these Chromium asks its maker's hosts at every start
QUIET = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def faults(browser: Any, root: str, width: int, scheme: str) -> list[str]:
    """What is wrong on the pages at one width, in one colour scheme."""
    found: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    where = ""
    page.on("console", lambda message: found.append(f"{where}: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"{where}: {error}"))
    page.on(
        "request", lambda sent: None if sent.url.startswith((root, "data:")) else found.append(f"{where}: {sent.url}")
    )
    page.on("response", lambda got: found.append(f"{where}: {got.status} {got.url}") if got.status >= 400 else None)
    for where in PAGES:
        page.goto(f"{root}/{where}", wait_until="networkidle")
        page.evaluate("() => window.MathJax?.startup?.promise")
        raw, unset = page.locator(".math").count(), page.locator("mjx-merror").count()
        if raw and not page.locator("mjx-container").count():
            found.append(f"{where}: formulas are not set")
        if unset:
            found.append(f"{where}: {unset} formulas with an error")
        cut = page.evaluate(CUT_OFF)
        if cut:
            found.append(f"{where}: {cut} formulas are cut off")
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"{where}: {wide} pixels wider than the window of {width}")
    where = "a link from the gallery"
    page.goto(f"{root}/gallery/index.html", wait_until="networkidle")
    page.locator(".sd-card").first.click()
    page.wait_for_url("**/gallery/adaptivity-frontier.html")
    where = "search"
    page.goto(f"{root}/search.html?q=concentrability", wait_until="networkidle")
    if not page.locator("#search-results li").count():
        found.append("the search finds nothing")
    page.close()
    return [f"{width} px, {scheme}: {fault}" for fault in found]


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("docs-check: no Chromium on this machine, so the book was not opened in a browser")
        return 0
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, served(SITE) as root:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        found = [
            f for width in (1280, 390) for scheme in ("light", "dark") for f in faults(browser, root, width, scheme)
        ]
        browser.close()
    print("\n".join(found) or f"docs-check: {len(PAGES)} pages, two widths, light and dark: nothing wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
