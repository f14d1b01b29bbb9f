"""A network as an ONNX file, for everything that is not Python: a browser, a phone, another language."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .conditional import ManyStyles
from .files import Network
from .transform_net import DOWN, SuperResolution, TransformNet


class _Clamped(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, style: Tensor | None = None) -> Tensor:
        made: Tensor = self.network(image) if style is None else self.network(image, style)
        return made.clamp(0, 1)


def export_onnx(network: Network, path: str | Path, side: int = 64) -> Path:
    """Write the network as ONNX: "image" (1, 3, H, W) in [0, 1] to "picture", for any size; gives the path.

    A style network's H and W must be multiples of 4 there: padding is left to whoever calls it. A network of many
    styles also takes "style" (1, styles), how much of each of its named ones, in their order. Raises ValueError for
    another suffix, for a network of textures, and, saying what to install, where there is no exporter.
    """
    path = Path(path).expanduser()
    if path.suffix != ".onnx":
        raise ValueError(f"output: {path}; right would be a .onnx file")
    if not isinstance(network, TransformNet | ManyStyles | SuperResolution):
        raise ValueError(f"network: a {type(network).__name__}; right would be one that paints or enlarges")
    try:
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError:
        raise ValueError("output: to write .onnx files, pip install onnx onnxscript") from None
    step = 1 if isinstance(network, SuperResolution) else DOWN
    shape = {2: step * torch.export.Dim("h", min=4, max=1024), 3: step * torch.export.Dim("w", min=4, max=1024)}
    like = next(network.parameters())
    given, names, shapes = [like.new_zeros(1, 3, side, side + 2 * step)], ["image"], [shape]
    if isinstance(network, ManyStyles):
        given.append(torch.eye(len(network.styles))[:1].to(like))
        names, shapes = [*names, "style"], [*shapes, {}]
    try:
        program = torch.onnx.export(
            _Clamped(network).eval(), tuple(given), input_names=names, output_names=["picture"],
            dynamic_shapes=tuple(shapes), dynamo=True, verbose=False,
        )  # fmt: skip
    except (TypeError, RuntimeError) as error:  # TypeError: before PyTorch 2.5
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"output: PyTorch {torch.__version__} cannot export it ({reason})") from error
    assert program is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)
    return path
