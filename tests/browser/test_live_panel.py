"""The Gatys panel under a real mouse and keyboard, in JupyterLab and in Voilà."""

import pytest

SHOWN = """() => [...document.querySelectorAll(".stx-see .stx-figure img")].find(i => i.offsetParent)?.src"""
CHANGED = f"before => {{ const now = ({SHOWN})(); return now && now !== before; }}"
SAYS = """word => document.querySelector(".stx-status span")?.textContent.startsWith(word)"""


def open_in_jupyterlab(page, address: str) -> None:
    page.goto(address)
    page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def open_in_voila(page, address: str) -> None:
    page.goto(address)


@pytest.mark.parametrize(
    ("where", "open_it"), [("jupyterlab", open_in_jupyterlab), ("voila", open_in_voila)], ids=["JupyterLab", "Voilà"]
)
def test_panel_is_run_stopped_and_run_again(where, open_it, page, request):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_it(page, request.getfixturevalue(where))
    buttons = page.locator(".stx-buttons")  # JupyterLab's toolbar has a Run too
    run, stop = buttons.get_by_role("button", name="Run"), buttons.get_by_role("button", name="Stop")
    page.wait_for_function(SHOWN)
    assert stop.is_disabled()

    for _ in range(2):
        before = page.evaluate(SHOWN)
        run.click()
        page.wait_for_function(SAYS, arg="running")
        page.wait_for_function(CHANGED, arg=before)
        forming = page.evaluate(SHOWN)
        page.wait_for_function(CHANGED, arg=forming)  # and it goes on changing
        stop.click()
        page.wait_for_function(SAYS, arg="stopped")

    # The strip is scrubbed through with the keyboard alone.
    result = page.evaluate(SHOWN)
    page.locator(".stx-strip input:checked").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(CHANGED, arg=result)
    assert all(page.evaluate("[...document.querySelectorAll('.stx-panel img')].map(i => i.hasAttribute('alt'))"))
    assert not errors
