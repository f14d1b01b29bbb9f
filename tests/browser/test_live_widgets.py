"""The inversion panel, the kernel panel and the mask painter under a real mouse and keyboard, in JupyterLab."""

import re

import pytest
from test_live_panel import CHANGED, SAYS, SHOWN, open_in_jupyterlab

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
    assert page.locator(".stx-strip input").count() > 2
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
    page.get_by_role("button", name="second").click()

    # A list, with the keyboard alone: all regions are the second part's.
    before = page.evaluate(SHARES)
    regions = page.locator(".stx-set select[multiple]")
    regions.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.wait_for_function(OTHER, arg=before)
    assert share(page, "second") == 100

    # The picture: a drag paints the first part along its way.
    page.get_by_role("button", name="first").click()
    before = page.evaluate(SHARES)
    page.locator(".stx-painting canvas").scroll_into_view_if_needed()
    box = page.locator(".stx-painting canvas").bounding_box()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    page.wait_for_function(OTHER, arg=before)
    drawn = share(page, "first")
    assert 3 <= drawn <= 20  # a brush of 16 pixels over four fifths of 256 × 171

    # The grid: a click on a cell in a corner, a hundred-and-forty-fourth of the picture.
    before = page.evaluate(SHARES)
    page.get_by_text("On a grid").click()
    page.locator(".stx-cells button").first.click()
    page.wait_for_function(OTHER, arg=before)
    assert share(page, "first") == pytest.approx(drawn + 1, abs=1)
    before = page.evaluate(SHARES)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function(OTHER, arg=before)
    assert share(page, "first") == drawn
    assert not errors
