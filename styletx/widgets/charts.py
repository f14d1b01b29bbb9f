"""Progress, loss curves and gradient shares as light inline SVG and HTML: no matplotlib in a thread that is running."""

import html
import math
from collections.abc import Sequence

from .controls import label
from .job import Job

# (colour, dashes): the two parts of a style have its colour
OWN = {
    "content": ("var(--stx-content)", ""),
    "style": ("var(--stx-style)", ""),
    "strokes": ("var(--stx-style)", "5 3"),
}
GREYS = (("#66707a", ""), ("#66707a", "5 3"), ("#8a949e", "1.5 3"), ("#8a949e", "8 3 1.5 3"))
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 480, 130, 40, 20, 6
POINTS = 120  # of a line: more cannot be told apart
DECADES = 5  # below the largest value; what is smaller does not pull


def strokes(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(colour, dashes) of each term: content and style in their own colours, the others grey."""
    greys = iter(GREYS * (1 + len(names) // len(GREYS)))
    return {name: OWN[name] if name in OWN else next(greys) for name in names}


def loss_curve(history: Sequence[tuple[int, int, dict[str, float]]], total: int, unit: str = "evaluation") -> str:
    """Each weighted term against the evaluations, or what is counted; a thin upright line where the size grows.

    The axis is logarithmic.
    history: (evaluations, level, {term: value}) of each step.
    """
    values = [v for _, _, terms in history for v in terms.values() if v > 0 and math.isfinite(v)]
    if len(history) < 2 or not values:
        return ""
    high = max(values) * 1.15
    low = max(min(values) / 1.15, high / 10**DECADES)
    low = min(low, high / 4)
    span = math.log(high / low)

    def x(evaluations: float) -> float:
        return LEFT + (WIDTH - LEFT - 4) * evaluations / max(total, 1)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * math.log(high / max(value, low)) / span

    parts = []
    for tick in _ticks(low, high):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - 4}" stroke="currentColor" stroke-opacity=".15"/>'
                     f'<text x="{LEFT - 5}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{tick:g}</text>')  # fmt: skip
    for share in (0, 0.25, 0.5, 0.75, 1):
        anchor = "end" if share == 1 else "middle" if share else "start"
        word = f"{round(total * share)}" + (f" {unit}s" if share == 1 else "")
        parts.append(f'<text x="{x(total * share):.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{word}</text>')
    for before, after in zip(history, history[1:], strict=False):
        if after[1] != before[1]:
            upright = f"M{x(before[0]):.1f} {TOP}V{HEIGHT - BOTTOM}"
            parts.append(f'<path d="{upright}" stroke="currentColor" stroke-opacity=".3"/>')
    shown = history[:: max(1, len(history) // POINTS)]
    shown = [*shown, history[-1]] if shown[-1] is not history[-1] else shown
    legend = []
    for name, (colour, dashes) in strokes(list(history[-1][2])).items():
        line = " ".join(f"{x(e):.1f},{y(t[name]):.1f}" for e, _, t in shown if t.get(name, 0) > 0)
        pen = f'fill="none" stroke-width="1.8" stroke-dasharray="{dashes}" style="stroke:{colour}"'
        parts.append(f'<polyline points="{line}" {pen}/>')
        legend.append(f'<span><svg width="22" height="8" aria-hidden="true"><path d="M1 4H21" {pen}/></svg>'
                      f'{html.escape(label(name))} {history[-1][2][name]:.2g}</span>')  # fmt: skip
    words = ", ".join(f"{label(n)} from {history[0][2].get(n, 0):.2g} to {v:.2g}" for n, v in history[-1][2].items())
    return (f'<div class="stx-chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="weighted losses, '
            f'logarithmic: {html.escape(words)}">{"".join(parts)}</svg>'
            f'<div class="stx-legend">{"".join(legend)}</div></div>')  # fmt: skip


def share_bar(shares: dict[str, float]) -> str:
    """Who is pulling: each term's share of the gradient's norm, as one bar."""
    parts = []
    for name, (colour, _) in strokes(list(shares)).items():
        part = shares[name]
        title = f"{label(name)} {part:.0%}"
        word = html.escape(title) if part > 0.2 else ""
        look = f"width:{100 * part:.1f}%;background:{colour}"
        parts.append(f'<span style="{look}" title="{html.escape(title)}">{word}</span>')
    words = ", ".join(f"{label(name)} {part:.0%}" for name, part in shares.items())
    return (f'<div class="stx-pull"><span class="stx-word">who is pulling</span><div class="stx-shares" role="img" '
            f'aria-label="shares of the gradient: {html.escape(words)}">{"".join(parts)}</div></div>')  # fmt: skip


def status_bar(state: str, job: Job | None) -> str:
    """A progress bar, and beside it the state, the evaluations and the time that is left or that it took."""
    spent, total = (job.step.evaluations if job and job.step else 0), (job.total if job else 0)
    share, words = (spent / total if total else 0), [state]
    if spent:
        words.append(f"{spent} of {total} {job.unit if job else 'evaluation'}s")
    left = job.seconds_left() if job and not job.over else None
    if left is not None:
        words.append(f"about {max(left, 1):.0f} s left" if left < 90 else f"about {left / 60:.0f} min left")
    if job and job.over and job.image is not None:
        words.append(f"{job.took:.1f} s")
    bar = f'<progress max="1" value="{share:.3f}" aria-label="progress">{share:.0%}</progress>'
    return f'<div class="stx-status" role="status">{bar}<span>{" · ".join(words)}</span></div>'


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for marks in ((1,), (1, 3), (1, 2, 5)):
        found = [m * 10.0**k for k in decades for m in marks if low <= m * 10.0**k <= high]
        if len(found) >= 3:
            break
    return found[:: 1 + len(found) // 7]
