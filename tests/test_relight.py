"""styletx/samples/relight.py: what each time of day, weather and season does to pictures that are known."""

import pytest
import torch

from styletx import load
from styletx.images import luminance
from styletx.samples.relight import autumn, dusk, fog, night, overcast, sky, to_linear, to_srgb, winter

TIMES = (dusk, night, fog, overcast, autumn, winter)


def scene():
    """A smooth blue sky over grey ground with some texture: 60×80, the horizon in the middle."""
    picture = torch.full((1, 3, 60, 80), 0.3)
    picture += 0.1 * torch.rand(1, 1, 60, 80, generator=torch.Generator().manual_seed(0))
    picture[..., :30, :] = torch.tensor([0.5, 0.65, 0.85]).view(1, 3, 1, 1)
    return picture


def test_light_and_back():
    values = torch.linspace(0, 1, 256).view(1, 1, 16, 16).expand(1, 3, -1, -1)
    assert torch.allclose(to_srgb(to_linear(values)), values, atol=1e-5)
    assert float(to_linear(torch.tensor(0.5))) == pytest.approx(0.21404, abs=1e-5)  # IEC 61966-2-1


def test_the_sky_is_above():
    found = sky(scene())
    assert float(found[..., :24, :].min()) > 0.7 and float(found[..., 38:, :].max()) < 0.1
    assert float(sky(torch.full((1, 3, 40, 40), 0.05)).max()) == 0.0  # a dark top is none


@pytest.mark.parametrize("change", TIMES)
@pytest.mark.parametrize("name", ["china", "rocket", "chelsea"])
def test_a_photo_stays_a_photo(change, name):
    photo = load(name, size=96)
    changed = change(photo)
    assert changed.shape == photo.shape and changed.dtype == photo.dtype
    assert bool(changed.isfinite().all()) and float(changed.min()) >= 0 and float(changed.max()) <= 1
    assert torch.equal(change(photo), changed)
    tiny = change(photo[..., :1, :2])
    assert tiny.shape == (1, 3, 1, 2) and bool(tiny.isfinite().all())


def test_dusk_is_darker_and_redder_at_the_horizon():
    day, late = scene(), dusk(scene())
    assert float(late.mean()) < 0.8 * float(day.mean())
    warmth = late[:, 0] / late[:, 2]
    assert float(warmth[:, 22:27].mean()) > 1.5 > 1.0 > float(warmth[:, 0].mean())


def test_night_is_dark_and_blue():
    late = night(scene())
    assert float(late.mean()) < 0.35 * float(scene().mean()) and float(late[:, 2].mean()) > float(late[:, 0].mean())


def test_fog_follows_its_law():
    """Density 0 leaves the picture, a huge one leaves only air, and the ground far away loses contrast first."""
    day = scene()
    assert torch.allclose(fog(day, 0.0), day, atol=1e-5)
    far = fog(day, 1e6)[..., :30, :]
    assert float(far.std(dim=(2, 3)).max()) < 0.02
    grey = luminance(fog(day))
    assert float(grey[..., 32:38, :].std()) < 0.7 * float(grey[..., 54:, :].std())
    with pytest.raises(ValueError, match="density: -1"):
        fog(day, -1.0)


def test_seasons_change_what_is_green():
    leaves, stones = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.4)
    leaves[:, 1], leaves[:, 0] = 0.5, 0.2
    assert torch.allclose(autumn(stones), stones, atol=1e-4)
    turned = autumn(leaves)
    assert float(turned[:, 0].mean()) > float(turned[:, 1].mean()) > float(turned[:, 2].mean())
    snow = winter(leaves)
    assert float(luminance(snow).mean()) > 1.3 * float(luminance(leaves).mean())
    assert float((snow.amax(1) - snow.amin(1)).max()) < 0.25


def test_overcast_has_less_colour():
    photo = load("china", size=96)
    spread = [(p.amax(1) - p.amin(1)).mean() for p in (overcast(photo), photo)]
    assert float(spread[0]) < 0.75 * float(spread[1])
