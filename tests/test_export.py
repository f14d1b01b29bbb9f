"""styletx/networks/export.py: onnxruntime makes of a file what torch makes of the network."""

import numpy as np
import pytest
import torch

from styletx import cli, load
from styletx.networks.conditional import ManyStyles
from styletx.networks.export import export_onnx
from styletx.networks.files import save_network
from styletx.networks.transform_net import SuperResolution, TransformNet

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [lambda: TransformNet(width=4), lambda: TransformNet(width=4, norm="batch", upsampling="transposed"),
     lambda: SuperResolution(4, width=8, norm="none", skip=True), lambda: SuperResolution(2, width=8)],
)  # fmt: skip
def test_onnxruntime_gives_the_same_picture(tmp_path, make):
    """To 1e-3, at sizes that it was not exported with."""
    torch.manual_seed(0)
    network = make().eval()
    if isinstance(network, SuperResolution):
        torch.nn.init.normal_(network.steps[-1].filters.weight, std=0.01)  # else a skip is all there is
    session = runtime.InferenceSession(export_onnx(network, tmp_path / "net.onnx"))
    for size in ((48, 64), (72, 40)):
        image = torch.nn.functional.interpolate(load("china", size=96), size)
        with torch.no_grad():
            expected = network(image).clamp(0, 1).numpy()
        (made,) = session.run(None, {"image": image.numpy()})
        assert made.shape == expected.shape and float(np.abs(made - expected).max()) < 1e-3


@pytest.mark.slow
def test_many_styles_in_one_file(tmp_path):
    """The mixture goes in beside the photo."""
    torch.manual_seed(0)
    network = ManyStyles(["wave", "scream", "night"], 4, blocks=1).eval()
    with torch.no_grad():
        for table in network.tables:
            table.add_(torch.randn_like(table) * 0.3)
    session = runtime.InferenceSession(export_onnx(network, tmp_path / "net.onnx"))
    assert [one.name for one in session.get_inputs()] == ["image", "style"]
    for size, weights in (((48, 64), [1.0, 0.0, 0.0]), ((72, 40), [0.2, 0.3, 0.5])):
        image, mixed = torch.nn.functional.interpolate(load("china", size=96), size), torch.tensor([weights])
        with torch.no_grad():
            expected = network(image, mixed).clamp(0, 1).numpy()
        (made,) = session.run(None, {"image": image.numpy(), "style": mixed.numpy()})
        assert made.shape == expected.shape and float(np.abs(made - expected).max()) < 1e-3


def test_from_the_shell(tmp_path, capsys):
    path = tmp_path / "own.safetensors"
    save_network(TransformNet(width=2, blocks=0), path)
    assert cli.main(["export", str(path), "-o", str(tmp_path / "own.onnx")]) == 0
    assert runtime.InferenceSession(str(tmp_path / "own.onnx")).get_inputs()[0].name == "image"
    for given, words in (
        ([str(path), "-o", str(tmp_path / "own.png")], "right would be a .onnx file"),
        (["monet", "-o", str(tmp_path / "x.onnx")], "'monet' is not known"),
        ([str(path), "-o", str(tmp_path / "nowhere" / "x.onnx")], "no folder"),
    ):
        capsys.readouterr()
        assert cli.main(["export", *given]) == 2
        assert words in capsys.readouterr().err
