"""A network that paints: one pass, beside the architecture of PyTorch's own example, and beside an optimisation."""

import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from styletx import gatys_objective, load, load_encoder, resize, synthesize
from styletx.images import noise_like, size_of
from styletx.methods.painters import painter
from styletx.networks.files import Network
from styletx.networks.transform_net import TransformNet

from .measure import interleave, ratio, summary

WIDTH, SIDE, STYLE_WEIGHT = 8, 512, 8.0


def run(device: torch.device, quick: bool = False) -> dict:
    """Seconds of a pass in each way, interleaved; and how long an optimisation takes to get as low."""
    side, rounds = (64, 2) if quick else (SIDE, 15)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    torch.manual_seed(0)
    network = TransformNet(WIDTH).eval().requires_grad_(False).to(device)
    cases = ways(network, image, quick)
    seconds = interleave(cases, rounds, 3, device)
    return {
        "side": side, "width": WIDTH, "seconds": {name: summary(values) for name, values in seconds.items()},
        "ratios": {name: ratio(seconds["styletx"], values) for name, values in seconds.items() if name != "styletx"},
        "optimised": optimised(device, 96 if quick else SIDE),
    }  # fmt: skip


def ways(network: TransformNet, image: Tensor, quick: bool) -> dict:
    """The same network in PyTorch, with channels last, compiled, and exported; and PyTorch's example."""
    last = TransformNet(WIDTH).eval().requires_grad_(False).to(image.device, memory_format=torch.channels_last)
    there = image.to(memory_format=torch.channels_last)
    example = example_network(WIDTH).eval().requires_grad_(False).to(image.device)
    found = {
        "styletx": lambda: network(image),
        "channels last": lambda: last(there),
        "PyTorch's example": lambda: example(image),
    }
    if not quick:
        compiled = torch.compile(network)
        compiled(image)
        found["torch.compile"] = lambda: compiled(image)
    session = exported(network)
    if session is not None:
        given = {"image": image.cpu().numpy()}
        found["onnxruntime (CPU)"] = lambda: session.run(None, given)
    return found


def exported(network: Network):
    """The network in onnxruntime, or None where that, or the exporter, is not installed."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError:
        return None
    from styletx.networks.export import export_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(network, Path(folder) / "net.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Else its threads wait for more work at full speed, and whatever is measured next has half a machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def example_network(width: int) -> nn.Module:
    """The layers of `fast_neural_style` in PyTorch's examples, at another width: no tanh, and any size divides by 4."""

    def convolution(before: int, after: int, kernel: int, stride: int = 1, up: int = 1) -> list[nn.Module]:
        grown = [nn.Upsample(scale_factor=up, mode="nearest")] if up > 1 else []
        return [*grown, nn.ReflectionPad2d(kernel // 2), nn.Conv2d(before, after, kernel, stride)]

    def normed(*shape: int, **more: int) -> list[nn.Module]:
        return [*convolution(*shape, **more), nn.InstanceNorm2d(shape[1], affine=True), nn.ReLU()]

    class Block(nn.Module):
        def __init__(self, channels: int):
            super().__init__()
            self.inner = nn.Sequential(*normed(channels, channels, 3), *convolution(channels, channels, 3),
                                       nn.InstanceNorm2d(channels, affine=True))  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + x

    return nn.Sequential(
        *normed(3, width, 9), *normed(width, 2 * width, 3, 2), *normed(2 * width, 4 * width, 3, 2),
        *(Block(4 * width) for _ in range(5)),
        *normed(4 * width, 2 * width, 3, up=2), *normed(2 * width, width, 3, up=2), *convolution(width, 3, 9),
    )  # fmt: skip


def optimised(device: torch.device, size: int) -> dict:
    """One photo in one style: seconds of a pass, and of L-BFGS from noise until its objective is as low."""
    photo, style = resize(load("china"), size), load("starry-night")
    encoder, network = load_encoder("mini", device=device), painter("starry-night", device)
    photo = photo.to(device)
    objective = gatys_objective(photo, style, style_weight=STYLE_WEIGHT)
    with torch.no_grad():
        goal = sum(float(v) for v in objective.at(size_of(photo), encoder)(network(photo)).values())
    start = time.perf_counter()
    for step in synthesize(objective, encoder, start=noise_like(photo, 0), steps=200, levels=1):
        if step.loss <= goal:
            break
    seconds = time.perf_counter() - start
    once = interleave({"pass": lambda: network(photo)}, 5, 2, device)["pass"]
    return {"goal": goal, "evaluations": step.evaluations, "seconds": seconds, "pass": summary(once)}
