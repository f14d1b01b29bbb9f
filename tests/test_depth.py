"""styletx/networks/depth.py: any depth function as an encoder, and the small network on scenes it has never seen."""

import pytest
import torch

from styletx import Match, Objective, load, resize, synthesize
from styletx.encoders import WEIGHTS, EncoderError
from styletx.networks import DepthNetwork, depth_encoder, depth_loss, hub_depth
from styletx.recipes import depth as recipe


def darkness(image):
    """A depth function whose gradient is known: dark is far."""
    return 1 - image.mean(1, keepdim=True)


def test_depth_loss_of_a_known_function_by_hand():
    image, content = torch.rand(1, 3, 40, 50), torch.rand(1, 3, 40, 50)
    encoder = depth_encoder(darkness, device="cpu")
    objective = Objective(Match(depth_loss, content, "depth", encoder=encoder, weight=3.0), relative=False)
    x = image.clone().requires_grad_(True)
    value = objective.at((40, 50), "laplacian", device="cpu")(x)["depth"]
    gap = image.mean(1) - content.mean(1)
    assert float(value) == pytest.approx(3 * float(gap.square().mean()), rel=1e-5)
    (slope,) = torch.autograd.grad(value, x)
    assert torch.allclose(slope, (3 * 2 * gap / gap.numel() / 3)[:, None].expand_as(slope), atol=1e-8)


def test_gradcheck_through_the_network():
    torch.manual_seed(0)
    network = DepthNetwork((4, 6)).double().eval()
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    target = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: depth_loss(network(x), target), image)


def test_the_network_beats_what_is_lower_is_nearer():
    """On 24 scenes with textures of their own: nearer in rank by far, with a smaller error than both guesses."""
    rows = recipe.judge(count=24)
    assert rows["network"]["rank"] > rows["lower is nearer"]["rank"] + 0.2
    guesses = min(rows["lower is nearer"]["log error"], rows["the mean scene"]["log error"])
    assert rows["network"]["log error"] < 0.7 * guesses


@pytest.mark.slow
def test_keeping_depth_is_possible():
    """From another picture the difference of the depth maps falls to a fifth."""
    encoder = depth_encoder(device="cpu")
    image, _ = recipe.example(recipe.FIRST_JUDGED + 1, recipe.textures(held_out=True))
    start = load("stained-glass", size=160)[..., :120, :160]
    start = torch.nn.functional.interpolate(start, size=(120, 160))
    objective = Objective(Match(depth_loss, image, "depth", encoder=encoder))
    steps = list(synthesize(objective, "mini", start=start, steps=60, levels=1, device="cpu"))
    assert steps[-1].loss < steps[0].loss / 5


def test_any_size_gives_the_same_map():
    encoder = depth_encoder(device="cpu")
    image = load("china", size=320)[..., :212, :]
    large, small = encoder(image, "depth")["depth"], encoder(resize(image, 160), "depth")["depth"]
    assert torch.allclose(large, small, atol=1e-4)


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(EncoderError, match=r"\(B, 1, h, w\)"):
        depth_encoder(lambda image: image, device="cpu")(torch.rand(1, 3, 8, 8), "depth")
    with pytest.raises(EncoderError, match="no layer"):
        depth_encoder(darkness, device="cpu")(torch.rand(1, 3, 8, 8), "relu1_1")
    with pytest.raises(EncoderError, match="there is no file"):
        depth_encoder(weights=tmp_path / "none.safetensors", device="cpu")
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(EncoderError, match="damaged"):
        depth_encoder(weights=tmp_path / "broken.safetensors", device="cpu")
    with pytest.raises(EncoderError, match="does not hold"):
        depth_encoder(weights=WEIGHTS / "mini.safetensors", device="cpu")
    with pytest.raises(ValueError, match="function, weights"):
        depth_encoder(darkness, weights=WEIGHTS / "depth.safetensors")


def test_the_hub_without_a_connection(monkeypatch):
    def offline(*arguments, **options):
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "load", offline)
    with pytest.raises(EncoderError, match="torch.hub .no route"):
        hub_depth()


def test_a_hub_network_is_looked_through(monkeypatch):
    """What the hub gives takes normalised pictures with sides of 32 and gives (B, h, w): a stand-in of that form."""

    class Stand(torch.nn.Module):
        def forward(self, x):
            assert x.shape[-2] % 32 == 0 and x.shape[-1] % 32 == 0
            return x.mean(1)

    monkeypatch.setattr(torch.hub, "load", lambda *arguments, **options: Stand())
    encoder = hub_depth(device="cpu")
    x = torch.rand(1, 3, 100, 150, requires_grad=True)
    found = encoder(x, "depth")["depth"]
    assert found.shape == (1, 1, 160, 256)
    assert not list(encoder.prepare.buffers())[0].requires_grad and "prepare.mean" in dict(encoder.named_buffers())
    found.sum().backward()
    assert bool((x.grad != 0).any())
