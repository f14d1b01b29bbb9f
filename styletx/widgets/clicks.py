"""Where a picture is clicked or dragged over, for the kernel to hear."""

import html
import uuid
from collections.abc import Callable

import ipywidgets as widgets

# The place, as "across,down" in shares of the sides, goes into a text field; while dragging, not more often than this.
EVERY = 200  # milliseconds
SEND = f"""if(event.type=='pointermove'&&(!event.buttons||Date.now()-(window.stxSent||0)<{EVERY}))return;
window.stxSent=Date.now();
const r=this.getBoundingClientRect(),f=document.querySelector('.'+this.dataset.field+' input');
f.value=((event.clientX-r.left)/r.width).toFixed(4)+','+((event.clientY-r.top)/r.height).toFixed(4);
f.dispatchEvent(new Event('input',{{bubbles:true}}));f.dispatchEvent(new Event('change',{{bubbles:true}}))"""


class Clicks(widgets.Text):
    """A hidden field to which what carries its `attributes` says where it is clicked; `drag`: also on the way.

    `heard(across, down)` is called with shares of the sides, from 0 to 1; another text is not heard.
    """

    def __init__(self, heard: Callable[[float, float], None], drag: bool = False):
        super().__init__()
        self._heard = heard
        field = f"stx-clicked-{uuid.uuid4().hex}"
        self.add_class(field)
        self.add_class("stx-drawn")
        code = html.escape(" ".join(SEND.split()))
        events = ("onpointerdown", "onpointermove", "onpointerup") if drag else ("onclick",)
        self.attributes = f'data-field="{field}" ' + " ".join(f'{event}="{code}"' for event in events)
        self.observe(lambda change: self._take(change["new"]), "value")

    def _take(self, text: str) -> None:
        try:
            across, down = (float(part) for part in text.split(","))
        except ValueError:
            return
        if 0 <= across <= 1 and 0 <= down <= 1:
            self._heard(across, down)
        self.value = ""
