"""Where a training runs: here alone, or divided among processes, GPUs and machines by Hugging Face Accelerate.

    accelerate launch --num_processes 4 -m styletx.recipes.transform --photos DIR --style NAME --out FILE

Each process makes its part of every batch, and all of them step with the mean gradient: what is learnt is what one
process with the whole batch would learn, to rounding, unless the network normalises over the batch.
"""

import math
import os
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..encoders import Encoder


class Machines(Protocol):
    """What the training loop asks of where it runs: `number` is this process's, of `count`, from 0."""

    number: int
    count: int
    device: torch.device | None

    def share(self, network: nn.Module) -> nn.Module:
        """The network whose gradients become the mean over all processes; its parameters are the network's own."""

    def look(self, encoder: Encoder) -> Encoder:
        """The encoder, in the precision that is asked for; features come out in single precision."""

    def part(self, batch: Tensor) -> Tensor:
        """This process's rows of something that belongs to the whole batch."""

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes; all of them must ask."""

    def backward(self, loss: Tensor) -> None: ...

    def clip(self, parameters: Iterable[nn.Parameter], limit: float, optimiser: torch.optim.Optimizer) -> float:
        """Gradients shortened together to a norm of at most `limit`; the norm that they had."""

    def step(self, optimiser: torch.optim.Optimizer) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        """What a training must remember of them; nothing, where nothing is scaled."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Alone:
    """One process, one device."""

    number, count = 0, 1
    device: torch.device | None = None

    def share(self, network: nn.Module) -> nn.Module:
        return network

    def look(self, encoder: Encoder) -> Encoder:
        return encoder

    def part(self, batch: Tensor) -> Tensor:
        return batch

    def any(self, flag: bool) -> bool:
        return flag

    def backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss)

    def clip(self, parameters: Iterable[nn.Parameter], limit: float, optimiser: torch.optim.Optimizer) -> float:
        return float(nn.utils.clip_grad_norm_(parameters, limit))

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        return None

    def close(self) -> None:
        return None


class Accelerated:
    """Processes that `accelerate launch` (or torchrun) started; mixed precision as it was told."""

    def __init__(self, mixed_precision: str | None = None, cpu: bool = False):
        try:
            from accelerate import Accelerator
        except ImportError:
            raise ValueError('accelerate: for several processes, pip install "styletx-course[train]"') from None
        self._accelerator = Accelerator(mixed_precision=mixed_precision, cpu=cpu)
        self.number, self.count = self._accelerator.process_index, self._accelerator.num_processes
        self.device: torch.device | None = self._accelerator.device

    def share(self, network: nn.Module) -> nn.Module:
        shared: nn.Module = self._accelerator.prepare_model(network)
        return shared

    def look(self, encoder: Encoder) -> Encoder:
        prepared: Encoder = self._accelerator.prepare_model(encoder, evaluation_mode=True)
        return prepared

    def part(self, batch: Tensor) -> Tensor:
        mine: Tensor = batch.chunk(self.count)[self.number]
        return mine

    def any(self, flag: bool) -> bool:
        told = torch.tensor(float(flag), device=self.device)
        return bool(self._accelerator.reduce(told, "sum") > 0)

    def backward(self, loss: Tensor) -> None:
        self._accelerator.backward(loss)

    def clip(self, parameters: Iterable[nn.Parameter], limit: float, optimiser: torch.optim.Optimizer) -> float:
        scaler = self._accelerator.scaler
        if scaler is None:
            return float(nn.utils.clip_grad_norm_(parameters, limit))
        scaler.unscale_(optimiser)
        norm = float(nn.utils.clip_grad_norm_(parameters, limit))
        # In half precision a loss that was scaled too far up is no mistake: the scaler passes over the step and lowers
        # its scale. Where nothing is scaled up any more, it is one.
        return norm if math.isfinite(norm) or scaler.get_scale() < 1 else limit

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        scaler = self._accelerator.scaler
        if scaler is None:
            optimiser.step()
        else:
            scaler.step(optimiser)
            scaler.update()

    def state_dict(self) -> dict[str, Any]:
        scaler = self._accelerator.scaler
        return {} if scaler is None else dict(scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._accelerator.scaler.load_state_dict(state)

    def close(self) -> None:
        self._accelerator.end_training()


def machines() -> Machines:
    """`Accelerated` in a process that `accelerate launch` or torchrun has started, else `Alone`."""
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ or int(os.environ.get("WORLD_SIZE", 1)) > 1
    return Accelerated() if launched else Alone()
