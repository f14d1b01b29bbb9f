"""A training as a Run of pictures: for a panel, in which one watches a network learn."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..images import Size, check_place, size_of
from ..networks.files import Network, save_network
from ..run import Run, Step


def network_place(out: str | Path | None) -> Path | None:
    """Where a network is to be written, checked before it is trained: ValueError unless it is a .safetensors file."""
    if out is None:
        return None
    out = Path(out).expanduser()
    if out.suffix != ".safetensors":
        raise ValueError(f"out: {out}; right would be a .safetensors file")
    check_place(out)
    return out


@dataclass
class Watched:
    """A training of which a picture is the result: what the network makes, by now, of one photo, or of one noise."""

    training: Run[dict[str, nn.Module]]
    network: Network
    make: Callable[[], Tensor]
    out: Path | None
    about: dict[str, object]
    unit: str = "step"
    halt: threading.Event = field(default_factory=threading.Event)

    @property
    def budget(self) -> list[tuple[Size, int]]:
        return self.training.schedule

    @property
    def evaluations(self) -> int:
        return self.training.evaluations

    @property
    def device(self) -> torch.device:
        return self.training.device

    @property
    @torch.no_grad()
    def best(self) -> Tensor:
        self.network.eval()
        made = self.make().cpu()
        self.network.train()
        return made

    def steps(self) -> Iterator[Step]:
        shown = self.best
        for step in self.training:
            if step.raw is not None:
                shown = step.raw
                if self.out is not None:
                    save_network(self.network, self.out, self.about | {"step": step.number})
            yield replace(step, raw=shown, size=size_of(shown))
            if self.halt.is_set():
                self.training.stop()
        if self.out is not None:
            save_network(self.network, self.out, self.about | {"step": self.evaluations})
