"""The Panel: one component with which every method is run, watched, stopped and saved."""

import html
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from ..methods.options import Choice, Number, Picture, options
from ..run import Step
from .charts import loss_curve, share_bar, status_bar
from .controls import CSS, box, control, device_control, label, plain, set_help, shown
from .job import DRIVES, SLICE, TICK, Job, automatic
from .mask_painter import MaskPainter
from .pictures import Picker, picture_html
from .results import check_given, find_method, keep_on_drive, make_record, name_of, save_result
from .strip import strip

REFRESH = 0.25  # seconds between two pictures sent to the browser
OPEN_CONTROLS = 4  # numbers that stand open; the other options are folded away
NOTE = "This is a saved page: open it in Colab or JupyterLab to run it yourself."


class Panel(widgets.VBox):
    """Pickers, controls, Run and Stop for a method, with the picture while it forms.

        Panel("gatys", content="china", style="stained-glass", size=256, steps=150)

    method: a name in `styletx.methods.METHODS`, or a function with annotated options. Everything else by keyword, as
    the method takes it, is where the panel starts from. main: options that stand open (default: the first numbers).
    drive: "thread", "heartbeat" (the browser ticks) or "slice" (seconds of work per click); by default what holds
    here. Several styles, and a MaskPainter as `mask`, are given by keyword too. `run()` runs it here and now, for a
    page without a kernel; `image`, `step` and `error` are what it came to.
    Raises ValueError for an unknown method or keyword, and for a value out of range.
    """

    def __init__(
        self, method: str | Callable, *, drive: str | None = None, main: tuple[str, ...] | None = None, **given: Any
    ):
        self.method = find_method(method)
        self.name = name_of(self.method)
        if drive not in (None, *DRIVES):
            raise ValueError(f'drive: "{drive}" is none of {", ".join(DRIVES)}')
        self.drive = drive or automatic()
        self._options = {option.name: option for option in options(self.method)}
        self._takes = inspect.signature(self.method).parameters
        check_given(self.method, self.name, self._takes, given, main or ())
        self._given, self._sent = dict(given), 0.0
        self._job: Job | None = None
        self._record: dict | Exception | None = None  # of what was run last, or why there is none
        self._build(main)
        super().__init__([self._css, self._body, self._message, self._note])
        self.add_class("stx-panel")
        self._show_idle()

    def __repr__(self) -> str:
        return f"Panel({self.name!r}, {', '.join(f'{k}={p.name!r}' for k, p in self.pickers.items())})"

    # What it came to.

    @property
    def image(self) -> Tensor | None:
        """The result (1, 3, H, W) of the last run that has ended, or None."""
        return self._job.image if self._job else None

    @property
    def step(self) -> Step | None:
        """The last step that was made, or None."""
        return self._job.step if self._job else None

    @property
    def error(self) -> BaseException | None:
        """What the last run ended with, if it failed."""
        return self._job.error if self._job else None

    @property
    def running(self) -> bool:
        return self._job is not None and not self._job.over

    # Running: `_begin` makes a Job, the drives differ only in who calls its `advance`.

    def run(self) -> "Panel":
        """Run here and now, to the end, and give the panel with its result: for a book page, which has no kernel.

        Raises what the method raises, and RuntimeError while a run is in progress.
        """
        job = self._begin()
        if job is None:
            raise RuntimeError("panel: a run is in progress; stop it first")
        try:
            job.drain()
        except KeyboardInterrupt:
            job.interrupted()
        if job.error is not None:
            raise job.error
        self._note.add_class("stx-shown")
        return self

    def stop(self) -> None:
        """End the run at its next evaluation, and keep the best picture."""
        job = self._job
        if job is None or job.over:
            return
        job.stop()
        if self.drive != "thread":  # nobody may come to make the last step
            job.drain()
        if self.play is not None:  # its beats go on in the browser: they must not start anew
            self._disarm(self.play, self.play.value)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the run to end (a thread's); False if it has not after `timeout` seconds."""
        return self._job is None or self._job.wait(timeout)

    def _begin(self) -> Job | None:
        if self.running:
            return None
        arguments = self._arguments()
        pictures = {name: picker.source for name, picker in self.pickers.items()}
        others = [n for n, o in self._options.items() if isinstance(o.allowed, Picture) and n in arguments]
        pictures |= {name: arguments.pop(name) for name in others}
        self._sent = 0.0
        self._message.value = ""
        self._note.remove_class("stx-shown")

        def start() -> Any:
            self._record = make_record(self.method, pictures, arguments)  # of the files as they are now, not at Save
            return self.method(**pictures, **arguments)

        self._job = job = Job(start, self._refresh)
        self._show_state("preparing ...")
        return job

    def _arguments(self) -> dict[str, Any]:
        kept = {k: v for k, v in self._given.items() if k not in self.pickers and k not in self.controls}
        kept = {k: v.masks if isinstance(v, MaskPainter) else v for k, v in kept.items()}
        kept |= {name: plain(widget, self._options[name]) for name, widget in self.controls.items()}
        if self._device is not None:
            kept["device"] = self._device.value
        if self._pull is not None and self._pull.value:
            kept["shares"] = True
        return kept

    def _clicked_run(self) -> None:
        if self.drive == "thread":
            job = self._begin()
            if job is not None:
                job.drain_in_thread()
        else:
            self._work(SLICE)

    def _ticked(self, play: widgets.Play, value: int) -> None:
        """A beat of Play. 0 is its own stop or its rewinding; after an end, beats that are late must not start anew."""
        if value == 0:
            self.stop()
            play.max, self._armed = 10**6, True
        elif self._armed:
            self._work(TICK)
            if not self.running:
                self._disarm(play, value)

    def _disarm(self, play: widgets.Play, value: int) -> None:
        # Play stops by itself at its largest value, in ipywidgets 7 and 8, and begins at 0 when pressed again.
        self._armed, play.max = False, max(value, 1)

    def _work(self, seconds: float) -> None:
        job = self._job if self.running else self._begin()
        if job is None:
            return
        try:
            job.advance_for(seconds)
        except KeyboardInterrupt:  # a notebook's Interrupt reaches a widget's handler, too
            job.interrupted()

    # Building.

    def _build(self, main: tuple[str, ...] | None) -> None:
        self._css = widgets.HTML(f"<style>{CSS}</style>")
        self._message, self._note = widgets.HTML(), widgets.HTML(f'<p class="stx-note">{NOTE}</p>')
        self._settings = widgets.HTML()
        self.picture, self.status, self.curve = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.pickers, self.controls = {}, {}
        for name, option in self._options.items():
            value = self._given.get(name)
            if isinstance(option.allowed, Picture):
                # What may be left out, and several pictures at once, are given to the panel, or painted.
                if option.required and not isinstance(value, list | tuple):
                    self.pickers[name] = Picker(name, value, self._picked)
            elif getattr(option.allowed, "many", False):
                continue
            elif not isinstance(option.allowed, Choice) or value is None or option.allowed.takes(value):
                self.controls[name] = control(option, value)
        numbers = [n for n in self.controls if isinstance(self._options[n].allowed, Number)]
        opened = [n for n in (main or numbers[:OPEN_CONTROLS]) if n in self.controls]
        folded = [widget for name, widget in self.controls.items() if name not in opened]
        self._device = device_control(self._given.pop("device", None)) if "device" in self._takes else None
        self._pull = None
        if "shares" in self._takes:
            self._pull = widgets.Checkbox(bool(self._given.get("shares")), description="who is pulling?", indent=False)
            set_help(self._pull, "show each term's share of the gradient (a backward pass for each term)")
            self._given.pop("shares", None)
            folded.append(self._pull)
        more = widgets.Accordion([box(folded, "stx-folded")], selected_index=None)
        more.set_title(0, "More")
        settings = box([*(self.controls[n] for n in opened), *([self._device] if self._device else []),
                         *([more] if folded else [])], "stx-live")  # fmt: skip
        see = box([self.picture, self.status, self.curve], "stx-see")
        choose = box([*self.pickers.values(), settings, self._settings, self._buttons()], "stx-set")
        self._body = box([see, choose], "stx-body", widgets.HBox)
        for widget in self.controls.values():
            widget.observe(lambda change: self._show_settings(), "value")
        self._show_settings()

    def _buttons(self) -> widgets.Box:
        word = f"Run {SLICE:.0f} s" if self.drive == "slice" else "Run"
        self.run_button = widgets.Button(description=word, icon="play", tooltip="run the method with these settings")
        self.stop_button = widgets.Button(description="Stop", icon="stop", disabled=True,
                                          tooltip="stop and keep the best picture")  # fmt: skip
        self.save_button = widgets.Button(description="Save", icon="download", disabled=True,
                                          tooltip="save the result as a PNG in the working directory")  # fmt: skip
        self.run_button.add_class("stx-run")
        self.run_button.on_click(lambda button: self._clicked_run())
        self.stop_button.on_click(lambda button: self.stop())
        self.save_button.on_click(lambda button: self._clicked_save())
        first, self.play, self._armed = self.run_button, None, True
        if self.drive == "heartbeat":
            # The kernel cannot start Play in ipywidgets 7.7.1: its own button is Run.
            first = self.play = play = widgets.Play(value=0, min=0, max=10**6, interval=100, show_repeat=False)
            play.observe(lambda change: self._ticked(play, change["new"]), "value")
        return box([first, self.stop_button, self.save_button], "stx-buttons stx-live", widgets.HBox)

    # Showing.

    @property
    def title(self) -> str:
        """What the picture is, in words: its alternative text."""
        names = [picker.name for picker in self.pickers.values()]
        if list(self.pickers) == ["content", "style"]:
            return f"{names[0]} in the style of {names[1]} ({self.name})"
        return f"{self.name} of {', '.join(names)}" if names else self.name

    def _picked(self, picker: Picker, error: Exception | None) -> None:
        wrong = error or next((p.error for p in self.pickers.values() if p.error), None)  # another may still be none
        if wrong is not None:
            self._show_error(wrong)
        elif hasattr(self, "_message"):
            self._message.value = ""
            if self._job is None and self.picture.value:
                self._show_idle()

    def _show_idle(self) -> None:
        first = next(iter(self.pickers.values()), None)
        if first is not None and first.image is not None:
            alt, caption = f"{label(first.option)}: {first.name}", f"{first.name}, before the run"
            self.picture.value = picture_html(first.image, alt, caption)
        self._show_state("ready")

    def _refresh(self, job: Job) -> None:
        now = time.monotonic()
        if job is not self._job or (not job.over and now - self._sent < REFRESH):
            return
        self._sent = now
        if job.error is not None:
            self._show_error(job.error)
            self._show_state("stopped by an error")
        elif job.over:
            if job.frames:
                self.picture.value = strip(job.frames, self.title)
            self._show_state("stopped" if job.stopped else "done")
        elif job.step is not None:
            step = job.step
            assert step.size is not None
            caption = f"{job.unit} {step.evaluations} of {step.total} · {step.size[1]}×{step.size[0]} px"
            self.picture.value = picture_html(step.image, f"{self.title}, while it forms", caption)
            self._show_state("running")
        if job.step is not None:
            pull = share_bar(job.step.shares) if job.step.shares else ""
            self.curve.value = loss_curve(job.history, job.total, job.unit) + pull

    def _show_state(self, state: str) -> None:
        running = self.running
        self.status.value = status_bar(state, self._job)
        self.run_button.disabled = running and self.drive == "thread"
        self.stop_button.disabled = not running
        self.save_button.disabled = running or self.image is None

    def _show_settings(self) -> None:
        terms = []
        for name, widget in self.controls.items():
            option = self._options[name]
            if isinstance(option.allowed, Number) or plain(widget, option) != option.default:
                terms.append(f"<dt>{label(name)}</dt><dd>{html.escape(shown(widget.value))}</dd>")
        self._settings.value = f'<dl class="stx-settings">{"".join(terms)}</dl>'

    def _show_error(self, error: BaseException) -> None:
        plain_words = isinstance(error, ValueError | MemoryError | OSError | FloatingPointError) and str(error)
        text = str(error) if plain_words else f"{type(error).__name__}: {error}"
        words = f"<b>Not done.</b> {html.escape(text)}"
        self._message.value = f'<div class="stx-message stx-error" role="alert">{words}</div>'

    # Saving.

    def save(self, folder: str | Path = ".") -> Path:
        """Save the result as a PNG that carries its record, under a speaking name that is still free; gives the path.

        Raises RuntimeError where there is no result yet, RecordError where an argument cannot be written down.
        """
        job = self._job
        if job is None or job.image is None:
            raise RuntimeError("save: there is no result yet; run the panel first")
        if isinstance(self._record, Exception):
            raise self._record
        record = self._record
        if record is not None and job.stopped:
            record = record | {"stopped": job.evaluations}
        names = [picker.name for picker in self.pickers.values()]
        return save_result(job.image, [*names, self.name], record, folder)

    def _clicked_save(self) -> None:
        try:
            where = keep_on_drive(self.save())
        except (ValueError, OSError, RuntimeError) as error:
            return self._show_error(error)
        self._message.value = f'<div class="stx-message" role="status">Saved as {html.escape(where)}</div>'
