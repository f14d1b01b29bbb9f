"""The same objective twice: ours, and pystiche 1.0.1's, on the same network with the same weights.

pystiche is a peer and an independent oracle: it shares no line with styletx. Its Gram loss is the mean
squared difference of Gram matrices per position and its layers are averaged, as ours are: the constant is 1.
"""

import importlib
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from styletx import Encoder, Match, Objective, content_loss, gram_loss, synthesize
from styletx.methods.gatys import PAPER_CONTENT_LAYER, STYLE_LAYERS

STYLE_WEIGHT = 10.0
GONE = ("alexnet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn")


def import_pystiche():
    """pystiche with its `enc`, `loss` and `optim`; raises ImportError where it is not installed.

    It reads dictionaries of addresses that torchvision has dropped: they get some that nothing fetches.
    """
    for name in ("alexnet", "vgg"):
        module = importlib.import_module(f"torchvision.models.{name}")
        if not hasattr(module, "model_urls"):
            names = (key for key in GONE if name in key)
            module.model_urls = {key: f"https://none.invalid/{key}-12345678.pth" for key in names}
    for part in ("enc", "loss", "optim"):
        importlib.import_module(f"pystiche.{part}")
    return importlib.import_module("pystiche")


def pictures(size: int, device: torch.device, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """A content, a style and a start of size × size: noise with coarse and fine structure."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(3, 3, 16, 16, generator=generator)
    fine = torch.rand(3, 3, size, size, generator=generator)
    made = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    return tuple(picture[None].to(device) for picture in 0.7 * made + 0.3 * fine)


def our_objective(content: Tensor, style: Tensor) -> Objective:
    """Content and Gram loss of `gatys` as their formulas give them, without relative weights or energies."""
    return Objective(
        Match(content_loss, content, PAPER_CONTENT_LAYER, name="content"),
        Match(gram_loss, style, STYLE_LAYERS, weight=STYLE_WEIGHT, name="style"),
        relative=False,
    )


def their_encoder(encoder: Encoder, in_place: bool = False) -> nn.Module:
    """Our network as pystiche holds it: its own VGG-19 with our weights, or its wrapper around our layers.

    Its parameters are frozen, as ours are; left as they come, pystiche would compute their gradients too.
    """
    enc = import_pystiche().enc
    if encoder.name == "vgg19":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it speaks to torchvision as it was
            theirs = enc.vgg19_multi_layer_encoder(pretrained=False, allow_inplace=in_place)
        theirs.load_state_dict(encoder.steps.state_dict(), map_names=False)
    else:
        steps = encoder.steps.items()
        layers = [(n, nn.ReLU(in_place) if isinstance(s, nn.ReLU) else s) for n, s in steps]
        theirs = enc.MultiLayerEncoder([("preprocessing", encoder.prepare), *layers])
    return theirs.requires_grad_(False).eval().to(encoder.device)


def their_criterion(theirs: nn.Module, content: Tensor, style: Tensor) -> nn.Module:
    """The same content and Gram loss, put together as pystiche's documentation does."""
    loss = import_pystiche().loss
    content_part = loss.FeatureReconstructionLoss(theirs.extract_encoder(PAPER_CONTENT_LAYER))
    style_part = loss.MultiLayerEncodingLoss(
        theirs,
        STYLE_LAYERS,
        lambda part, weight: loss.GramLoss(part, score_weight=weight),
        score_weight=STYLE_WEIGHT,
    )
    criterion = loss.PerceptualLoss(content_part, style_part).to(content.device)
    criterion.set_content_image(content)
    criterion.set_style_image(style)
    return criterion


def our_evaluation(encoder: Encoder, content: Tensor, style: Tensor, start: Tensor) -> Callable:
    """One evaluation with gradient, as our optimisation loop makes it: () → (value, gradient)."""
    level = our_objective(content, style).at(start.shape[-2:], encoder, encoder.device)
    image = start.clone().requires_grad_(True)

    def evaluate() -> tuple[float, Tensor]:
        total = sum(level(image).values())
        (slope,) = torch.autograd.grad(total, image)
        return float(total.detach()), slope

    return evaluate


def their_evaluation(theirs: nn.Module, content: Tensor, style: Tensor, start: Tensor) -> Callable:
    """One evaluation with gradient, as pystiche's `image_optimization` makes it: () → (value, gradient)."""
    criterion = their_criterion(theirs, content, style)
    image = start.clone().requires_grad_(True)

    def evaluate() -> tuple[float, Tensor]:
        image.grad = None
        total = criterion(image)
        total.backward()
        return float(total), image.grad

    return evaluate


def our_run(encoder: Encoder, content: Tensor, style: Tensor, start: Tensor, steps: int) -> Tensor:
    """A whole run of `steps` evaluations at full size, targets and all."""
    objective = our_objective(content, style)
    run = synthesize(objective, encoder, start=start, steps=steps, levels=1, device=encoder.device)
    return run.finish(progress=False)


def their_run(theirs: nn.Module, content: Tensor, style: Tensor, start: Tensor, steps: int) -> Tensor:
    """The same with pystiche's own loop: one evaluation a step, its own L-BFGS settings."""
    optimise = import_pystiche().optim.image_optimization
    return optimise(start.clone(), their_criterion(theirs, content, style), num_steps=steps, quiet=True)


def agreement(ours: Callable, theirs: Callable) -> dict:
    """The two evaluations compared: their values, and their gradients' directions and lengths."""
    (our_value, our_slope), (their_value, their_slope) = ours(), theirs()
    first, second = our_slope.double().flatten(), their_slope.double().flatten()
    return {
        "loss ratio": our_value / their_value,
        "gradient cosine": float(first @ second / (first.norm() * second.norm())),
        "gradient length ratio": float(first.norm() / second.norm()),
    }


def check_agreement(found: dict) -> dict:
    """The same, or AssertionError where the two objectives are not the same one."""
    assert abs(found["loss ratio"] - 1) < 1e-4, f"the losses differ: {found}"
    assert found["gradient cosine"] > 0.9999, f"the gradients point elsewhere: {found}"
    assert abs(found["gradient length ratio"] - 1) < 1e-3, f"the gradients have other lengths: {found}"
    return found
