"""A network as an ONNX file, for everything that is not Python: a browser, a phone, another language."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .files import Network
from .transform_net import DOWN, SuperResolution, TransformNet


class _Clamped(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        made: Tensor = self.network(image)
        return made.clamp(0, 1)


def export_onnx(network: Network, path: str | Path, side: int = 64) -> Path:
    """Write the network as ONNX: "image" (1, 3, H, W) in [0, 1] to "picture", for any size; gives the path.

    A style network's H and W must be multiples of 4 there: padding is left to whoever calls it. Raises ValueError for
    another suffix, for a network of many styles or of textures, and, saying what to install, where there is no
    exporter.
    """
    path = Path(path).expanduser()
    if path.suffix != ".onnx":
        raise ValueError(f"output: {path}; right would be a .onnx file")
    if not isinstance(network, TransformNet | SuperResolution):
        raise ValueError(
            f"network: a {type(network).__name__}; those of one style and those that enlarge can be exported"
        )
    try:
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError:
        raise ValueError("output: to write .onnx files, pip install onnx onnxscript") from None
    step = DOWN if isinstance(network, TransformNet) else 1
    shape = {2: step * torch.export.Dim("h", min=4, max=1024), 3: step * torch.export.Dim("w", min=4, max=1024)}
    example = torch.zeros(1, 3, side, side + 2 * step, device=next(network.parameters()).device)
    try:
        program = torch.onnx.export(
            _Clamped(network).eval(), (example,), input_names=["image"], output_names=["picture"],
            dynamic_shapes={"image": shape}, dynamo=True, verbose=False,
        )  # fmt: skip
    except (TypeError, RuntimeError) as error:  # TypeError: before PyTorch 2.5
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"output: PyTorch {torch.__version__} cannot export it ({reason})") from error
    assert program is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)
    return path
