"""The built book in a real browser: every page without an error in the console and without unrendered maths.

Skipped, with a reason, where the book has not been built; with STYLETX_REQUIRE_BOOK=1 (CI, after the build) that fails.
"""

import functools
import http.server
import threading
from pathlib import Path

import pytest
from conftest import skip_or_fail

HTML = Path(__file__).parents[2] / "book" / "_build" / "html"
NOT_PAGES = {"genindex.html", "index.html", "search.html"}  # index.html only leads on to the start page
FOUND = [p for p in HTML.rglob("*.html") if p.name not in NOT_PAGES and "_static" not in p.parts]
PAGES = sorted(str(p.relative_to(HTML)) for p in FOUND)
# What a reader should never see: TeX as text. Code is allowed to have it.
RAW = r"""() => {
  const walker = document.createTreeWalker(document.querySelector("main") || document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest("pre, code, script, style, mjx-container, .MathJax") &&
        node.parentElement.offsetParent && /\$\$|\\\(|\\\[|\\begin\{/.test(node.data))
      found.push(node.data.trim().slice(0, 80));
  return found;
}"""
WRONG = """() =>
  [...document.querySelectorAll("mjx-merror, [data-mjx-error], .MathJax_Error, .MathJax_Processing, merror")]
  .map(node => node.getAttribute("data-mjx-error") || node.textContent.slice(0, 80))"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def book(browser):
    if not (HTML / "index.html").exists():
        skip_or_fail("the book is not built (make book)", "STYLETX_REQUIRE_BOOK")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HTML)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", PAGES or ["book/intro.html"])
def test_page_is_clean(book, page, name):
    wrong = []
    page.on("console", lambda m: wrong.append(f"{m.text} ({m.location.get('url', '')})") if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{book}/{name}", wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    widgets = page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count()
    if widgets:  # they are drawn after the page
        page.wait_for_function("n => document.querySelectorAll('.jupyter-widgets').length >= n", arg=widgets)
    page.wait_for_timeout(300)
    assert not wrong
    assert page.evaluate(WRONG) == []
    assert page.evaluate(RAW) == []
    assert page.evaluate("[...document.images].filter(i => !i.hasAttribute('alt')).map(i => i.src.slice(0, 80))") == []
