"""Decoders: the features of one layer back into a picture (lectures 10 and 11).

A decoder mirrors its encoder: convolutions in reverse, and for every pooling a way up. *nearest* repeats each value
(whitening and colouring), *unpool* puts it back where the encoder's maximum was (PhotoWCT), *transposed* learns a
transposed convolution.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import samples
from ..devices import pick_device
from ..encoders import VGG_BLOCKS, WEIGHTS, Encoder, EncoderError, load_encoder, public_encoder, read_weights
from ..images import Size

# `mini`'s decoders are wider near the pixels than `mini` is, and a layer shorter in the deep blocks.
WIDTHS, COUNTS = (32, 64, 96, 112, 128), (2, 2, 3, 3, 1)
# relu1_1 has 16 channels, cut off at 0: the best linear convolution (least squares) gets 33 dB out of them. Unpooling
# puts 16 channels there too, three of four values zero.
FIRST_COUNT = 3
LEVELS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
UPSAMPLING = ("nearest", "unpool", "transposed")
MINI_LEVELS = {"nearest": LEVELS, "unpool": LEVELS[1:4], "transposed": LEVELS[1:3]}  # relu1_1 has no pooling before it
PAIRS = {"mini": LEVELS, "vgg19-small": LEVELS, "vgg19-normalised": LEVELS[:3]}
Switches = dict[str, tuple[Tensor, Size]]  # of each pooling: where its maxima were, and the size it came from


class Decoder(nn.Module):
    """Convolutions from a layer of block b back to the picture: an encoder in reverse, with one of three ways up.

    channels: of the features. widths, counts: of the convolutions in block 1 … b, as in the encoder; the last one of a
    block gives the next one's width (`pooled`: the encoder's, where unpooling needs as many channels as there are
    switches), or the picture. Between two blocks stands a way up, for the encoder's pooling.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        counts: Sequence[int],
        upsampling: str = "nearest",
        last_relu: bool = False,
        pooled: Sequence[int] | None = None,
    ):
        super().__init__()
        if upsampling not in UPSAMPLING:
            raise EncoderError(f'upsampling: "{upsampling}" is not one of {", ".join(UPSAMPLING)}')
        self.upsampling, self.last_relu = upsampling, last_relu
        self.steps = nn.ModuleDict()
        for block in range(len(widths), 0, -1):
            after = (pooled or widths)[block - 2] if block > 1 else 3
            for index in range(counts[block - 1], 0, -1):
                out = widths[block - 1] if index > 1 else after
                enters = block < len(widths) and index == counts[block - 1]
                step: nn.Module
                if enters and upsampling == "transposed":
                    step = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
                else:
                    step = nn.Conv2d(channels, out, 3, padding=1, padding_mode="reflect")
                self.steps[f"conv{block}_{index}"] = step
                channels = out
            if block > 1 and upsampling != "transposed":
                up = nn.Upsample(scale_factor=2) if upsampling == "nearest" else nn.MaxUnpool2d(2)
                self.steps[f"pool{block - 1}"] = up

    def forward(self, features: Tensor, switches: Switches | None = None) -> Tensor:
        """A picture (B, 3, H, W), not clamped, from features (B, C, h, w) and, for unpooling, the encoder's switches.

        Raises EncoderError where unpooling has no switches or those of another size.
        """
        x = features
        for name, step in self.steps.items():
            if isinstance(step, nn.MaxUnpool2d):
                x = _unpool(x, name, switches)
                continue
            x = step(x)
            if name.startswith("conv") and (name != "conv1_1" or self.last_relu):
                x = F.relu(x)
        return x


def _unpool(x: Tensor, name: str, switches: Switches | None) -> Tensor:
    if not switches or name not in switches:
        raise EncoderError(f"switches: unpooling needs those of {name}; encode with the pair that decodes")
    indices, size = switches[name]
    if indices.shape != x.shape:
        raise EncoderError(f"switches: {tuple(indices.shape)} at {name} for features {tuple(x.shape)}")
    try:
        return F.max_unpool2d(x, indices, (2, 2), output_size=size)
    except NotImplementedError:  # MPS before torch 2.9
        return F.max_unpool2d(x.cpu(), indices.cpu(), (2, 2), output_size=size).to(x.device)


@dataclass(frozen=True)
class Pair:
    """An encoder, and the decoder that makes a picture of its features at `layer`."""

    encoder: Encoder
    decoder: Decoder
    layer: str

    def encode(self, image: Tensor) -> tuple[Tensor, Switches]:
        """Features (B, C, h, w) of a picture (B, 3, H, W), and the switches that unpooling will need (else none)."""
        wanted = self.decoder.upsampling == "unpool"
        found = self.encoder(image, self.layer, switches=wanted)
        return found[self.layer], found.get("switches", {})

    def decode(self, features: Tensor, switches: Switches | None = None) -> Tensor:
        """The picture (B, 3, H, W) of these features, not clamped."""
        return self.decoder(features, switches)

    def __call__(self, image: Tensor) -> Tensor:
        """Encode and decode: what of the picture comes back."""
        return self.decode(*self.encode(image))


def load_pairs(
    name: str = "mini",
    layers: str | Iterable[str] = LEVELS,
    *,
    upsampling: str = "nearest",
    device: str | torch.device | None = None,
    weights: str | Path | None = None,
) -> list[Pair]:
    """The pairs of encoder and decoder of that name (one of `PAIRS`), one for each layer.

    `mini` has one encoder for all of them, decoders that unpool at relu2_1 … relu4_1, and two with transposed
    convolutions, at relu2_1 and relu3_1; the public ones (Li et al. 2017; Wang et al. 2020) have an encoder for every
    level, and nearest upsampling. `weights` names another file than the package's own for `mini`'s decoders. Raises
    EncoderError where there is no such pair.
    """
    layers = [layers] if isinstance(layers, str) else list(layers)
    if name not in PAIRS:
        raise EncoderError(f'encoder: no decoders for "{name}"; there are some for {", ".join(PAIRS)}')
    if upsampling not in UPSAMPLING:
        raise EncoderError(f'upsampling: "{upsampling}" is not one of {", ".join(UPSAMPLING)}')
    known = MINI_LEVELS[upsampling] if name == "mini" else PAIRS[name] if upsampling == "nearest" else ()
    for layer in layers or ["(none)"]:
        if layer not in known:
            there = ", ".join(known) or "none"
            raise EncoderError(f"layers: {name} has no decoder ({upsampling}) for {layer}; it has {there}")
    if name == "mini":
        encoder = load_encoder("mini", device=device)
        state = read_weights(Path(weights) if weights else WEIGHTS / "mini-decoders.safetensors")
        return [_mini_pair(encoder, layer, upsampling, state) for layer in layers]
    return [_public_pair(name, layer, device) for layer in layers]


def mini_decoder(encoder: Encoder, layer: str, upsampling: str = "nearest") -> Decoder:
    """The bare decoder of `mini` for a layer, untrained."""
    block = int(layer[4])
    pooled = [encoder.channels(f"relu{k}_1") for k in range(1, block)] if upsampling == "unpool" else None
    counts = [*COUNTS[: block - 1], 1]
    if block == 1 or upsampling == "unpool":  # 16 channels come in
        counts[0] = FIRST_COUNT
    return Decoder(encoder.channels(layer), WIDTHS[:block], counts, upsampling, pooled=pooled)


def _mini_pair(encoder: Encoder, layer: str, upsampling: str, state: dict[str, Tensor]) -> Pair:
    prefix = f"{upsampling}/{layer}/"
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return Pair(encoder, _filled(mini_decoder(encoder, layer, upsampling), own, "mini").to(encoder.device), layer)


def _public_pair(name: str, layer: str, device: str | torch.device | None) -> Pair:
    encoder, block = load_encoder(public_encoder(name, layer), device=pick_device(device)), int(layer[4])
    state = read_weights(samples.fetch(f"weights/{name}/decoder{block}.pth"))
    widths = [encoder.channels(f"relu{k}_1") for k in range(1, block + 1)]
    counts = (*VGG_BLOCKS["vgg19"][: block - 1], 1)
    decoder = Decoder(widths[-1], widths, counts, last_relu=name == "vgg19-small")
    new = [step for step in decoder.steps if step.startswith("conv")]
    if name == "vgg19-small":
        state = state["model"]
        old = [step.replace("_", "") for step in new]
    else:  # theirs are numbered, deepest first, as the steps here are
        old = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    state = {f"{n}.{part}": state[f"{o}.{part}"] for n, o in zip(new, old, strict=True) for part in ("weight", "bias")}
    return Pair(encoder, _filled(decoder, state, name).to(encoder.device), layer)


def _filled(decoder: Decoder, state: dict[str, Tensor], name: str) -> Decoder:
    try:
        decoder.steps.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        raise EncoderError(f"weights: they do not fit the decoder of {name}: {str(error).splitlines()[-1]}") from None
    return decoder.requires_grad_(False).eval().to(memory_format=torch.channels_last)
