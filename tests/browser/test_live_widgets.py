"""The inversion panel, the kernel panel and the mask painter under a real mouse and keyboard, in JupyterLab."""

import re

import pytest
from test_live_panel import CHANGED, SAYS, SHOWN, open_in_jupyterlab

from styletx.widgets.mask_painter import COLOURS

SHARES = """() => [...document.querySelectorAll(".stx-painting .stx-legend span")].map(s => s.textContent)"""
OTHER = f"before => {{ const now = ({SHARES})(); return now.length && now.join() !== before.join(); }}"


def open_widget(page, jupyterlab: str, name: str) -> None:
    open_in_jupyterlab(page, jupyterlab.replace("panel", name))


@pytest.mark.parametrize("name", ["inversion", "kernels"])
def test_each_panel_runs_and_stops(name, page, jupyterlab):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_widget(page, jupyterlab, name)
    buttons = page.locator(".stx-buttons")
    page.wait_for_function(SHOWN)
    if name == "kernels":  # what a reader of lecture 04 does: another kernel, then Run
        page.locator(".stx-set select:visible", has_text="mmd-polynomial").select_option("mmd-polynomial")
        page.wait_for_function("() => document.querySelector('.stx-settings').textContent.includes('mmd-polynomial')")
    before = page.evaluate(SHOWN)
    buttons.get_by_role("button", name="Run").click()
    page.wait_for_function(SAYS, arg="running")
    page.wait_for_function(CHANGED, arg=before)
    buttons.get_by_role("button", name="Stop").click()
    page.wait_for_function(SAYS, arg="stopped")
    assert page.locator(".stx-strip input").count() >= 2  # the start and the best picture so far
    assert not errors


@pytest.mark.parametrize("name", ["wct", "smooth"])
def test_a_direct_method_is_run_again_and_changes(name, page, jupyterlab):
    """WCT and smoothing have no steps: Run gives the picture at once; another setting, another picture."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_widget(page, jupyterlab, name)
    run = page.locator(".stx-buttons").get_by_role("button", name="Run")
    page.wait_for_function(SHOWN)
    before = page.evaluate(SHOWN)
    run.click()
    page.wait_for_function(CHANGED, arg=before)
    page.wait_for_function(SAYS, arg="done")
    first = page.evaluate(SHOWN)
    handle = page.locator(".stx-set .noUi-handle:visible").first
    handle.focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(500)
    run.click()
    page.wait_for_function(CHANGED, arg=first)
    page.wait_for_function(SAYS, arg="done")
    assert not errors


GRAPH = """() => document.querySelector(".stx-graph figcaption")?.textContent"""
MOVED = f"before => {{ const now = ({GRAPH})(); return now && now !== before; }}"


def test_the_graph_panel_by_click_and_by_keyboard(page, jupyterlab):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_widget(page, jupyterlab, "graph")
    page.locator(".stx-graph svg").wait_for()
    before = page.evaluate(GRAPH)
    page.locator(".stx-graph svg").scroll_into_view_if_needed()
    box = page.locator(".stx-graph svg").bounding_box()
    page.mouse.click(box["x"] + 0.258 * box["width"], box["y"] + 0.25 * box["height"])
    page.wait_for_function(MOVED, arg=before)
    clicked = page.evaluate(GRAPH)
    assert "column 16" in clicked  # of 64
    page.locator(".stx-set .noUi-handle:visible").first.press("ArrowRight")
    page.wait_for_function(MOVED, arg=clicked)
    assert "weights: row" in page.locator("svg[role=img]").get_attribute("aria-label")
    assert not errors


MIXED = """() => document.querySelector(".stx-see .stx-figure figcaption")?.textContent"""
MIXED_ANEW = f"before => {{ const now = ({MIXED})(); return now && now !== before; }}"


def test_the_mixing_panel_by_mouse_and_keyboard(page, jupyterlab):
    """A drag over the square ends where it ends, a slider moves with the arrows, and the pictures are others."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_widget(page, jupyterlab, "mixing")
    page.wait_for_function(MIXED)
    begun, first = page.evaluate(MIXED), page.evaluate(SHOWN)
    square = page.locator("svg[aria-label='a square of four paintings']")
    square.scroll_into_view_if_needed()
    box = square.bounding_box()
    place = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    page.mouse.move(*place(0.3, 0.3))
    page.mouse.down()
    page.mouse.move(*place(0.98, 0.5), steps=8)
    page.mouse.up()
    page.wait_for_function("() => /4[5-9]% great-wave/.test(document.querySelector('.stx-see figcaption').textContent)")
    dragged = page.evaluate(MIXED)
    assert dragged != begun and "composition-vii" in dragged and page.evaluate(SHOWN) != first
    page.locator(".stx-set .noUi-handle:visible").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(MIXED_ANEW, arg=dragged)
    assert page.locator(".stx-see .stx-figure img").get_attribute("alt").startswith("china: ")
    assert not errors


def share(page, name: str) -> int:
    """Percent of the picture that a part has, from the legend."""
    found = next(text for text in page.evaluate(SHARES) if name in text)
    return int(re.search(r"(\d+) %", found).group(1))


def test_the_mask_painter_in_three_ways(page, jupyterlab):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_widget(page, jupyterlab, "painter")
    page.locator(".stx-painting canvas").wait_for()
    page.locator(".widget-toggle-buttons button", has_text="second").click()
    page.locator(f'.stx-painting canvas[data-colour="{COLOURS[1]}"]').wait_for()  # the kernel has answered

    # A list, with the keyboard alone: only the first region is the second part's. (JupyterLab takes Shift+End itself.)
    before = page.evaluate(SHARES)
    regions = page.locator(".stx-set select[multiple]")
    for _ in range(6):  # JupyterLab may take the keyboard back while it is still at work on its page
        regions.press("Home")
        page.wait_for_timeout(2000)
        if page.evaluate(OTHER, before):
            break
    page.wait_for_function(OTHER, arg=before)
    listed = share(page, "second")
    assert f"({listed}" in regions.locator("option").first.inner_text()  # "region 1 (14 %)", with spaces of its own

    # The picture: a drag paints the second part along its way.
    before = page.evaluate(SHARES)
    page.locator(".stx-painting canvas").scroll_into_view_if_needed()
    box = page.locator(".stx-painting canvas").bounding_box()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    page.wait_for_function(OTHER, arg=before)
    drawn = share(page, "second")
    assert 2 <= drawn - listed <= 20  # 16 pixels along four fifths of 256 × 171, less what was its own already

    # The grid: a click on the last cell changes it, and Undo takes that back.
    before = page.evaluate(SHARES)
    page.get_by_text("On a grid").click()
    page.locator(".stx-cells button").nth(143).click()
    page.wait_for_function(OTHER, arg=before)
    assert abs(share(page, "second") - drawn) <= 2  # a hundred-and-forty-fourth of it
    before = page.evaluate(SHARES)
    page.locator(".stx-set button", has_text="Undo").click()
    page.wait_for_function(OTHER, arg=before)
    assert share(page, "second") == drawn
    assert not errors
