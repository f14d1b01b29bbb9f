"""styletx/networks/conditional.py: the paper's table, one pass for many styles, and what a new style may change."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from styletx import cli, images, load, resize, samples, stylize
from styletx.encoders import EncoderError
from styletx.methods import record as records
from styletx.methods.painters import painter, point_of
from styletx.methods.stylize import stylize_all
from styletx.networks.any_style import AnyStyle, style_statistics
from styletx.networks.conditional import ManyStyles, Painter, condition
from styletx.networks.files import load_network, save_network
from styletx.recipes import any_style
from styletx.samples import styles as styles_made
from styletx.training.photos import Photos
from styletx.training.styles import Styles

NAMES = ["great-wave", "the-scream", "starry-night", "starry-night-over-the-rhone"]


def network(seed=0, **options):
    torch.manual_seed(seed)
    made = ManyStyles(NAMES, **({"width": 4, "blocks": 1} | options))
    for table in made.tables:
        torch.nn.init.normal_(table, 0.5, 1)
    return made.eval()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "many.safetensors"
    save_network(network(), path)
    return str(path)


def test_a_style_of_the_papers_table_is_3206_numbers():
    """The notes say "~3K"; by their table 2 × (32 + 64 + 128 + 10·128 + 64 + 32 + 3) (ERRATA 17)."""
    made = ManyStyles(["a", "b"], width=32)
    assert made.size == 2 * (32 + 64 + 128 + 10 * 128 + 64 + 32 + 3) == 3206
    assert made.point(torch.tensor([1])).shape == (1, 3206)
    filters = 81 * 3 * 32 * 2 + 9 * (32 * 64 * 2 + 64 * 128 * 2 + 10 * 128 * 128)
    assert sum(p.numel() for p in made.layers.parameters()) == filters
    assert sum(p.numel() for p in made.tables.parameters()) == 2 * 3206
    spread = torch.cat([layer.filters.weight.flatten() for layer in made.layers])
    assert abs(spread.std().item() - 0.01) < 1e-4 and abs(spread.mean().item()) < 1e-4


@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 9), st.integers(2, 9))
@settings(deadline=None)
def test_conditioned_features_have_the_styles_mean_and_spread(batch, channels, height, width):
    generator = torch.Generator().manual_seed(height * 10 + width)
    features = torch.randn(batch, channels, height, width, generator=generator) * 3 + 1
    gamma, beta = torch.rand(batch, channels, generator=generator) + 0.5, torch.randn(batch, channels)
    made = condition(features, gamma, beta)
    by_hand = (features - features.mean((2, 3), keepdim=True)) / (
        features.var((2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt() * gamma[..., None, None] + beta[..., None, None]
    assert torch.allclose(made, by_hand, atol=1e-4)


def test_conditioning_on_a_paintings_statistics_is_adain():
    photo, style = torch.rand(1, 5, 8, 9), torch.rand(1, 5, 7, 6) * 4
    mean, std = style.mean((2, 3)), style.std((2, 3), correction=0)
    made = condition(photo, std, mean)
    assert torch.allclose(made.mean((2, 3)), mean, atol=1e-5)
    assert torch.allclose(made.std((2, 3), correction=0), std, rtol=1e-3)


def test_many_styles_in_one_pass_are_as_many_passes():
    made, photo = network(), load("china", size=40)
    with torch.no_grad():
        together = made(photo.expand(4, -1, -1, -1), torch.arange(4))
        apart = torch.cat([made(photo, torch.tensor([k])) for k in range(4)])
    assert torch.allclose(together, apart, atol=1e-5) and float((together[0] - together[1]).abs().max()) > 0.01


def test_a_mixture_is_between_the_points():
    """Weights of one style are that style; equal ones the mean of the points, not of the pictures."""
    made, photo = network(), load("china", size=40)
    with torch.no_grad():
        points = made.point(torch.arange(4))
        assert torch.equal(made.point(torch.eye(4)), points)
        half = made(photo, torch.tensor([[0.5, 0.5, 0, 0]]))
        assert torch.allclose(half, made.paint(photo, points[:2].mean(0, keepdim=True)), atol=1e-5)
        for wrong in (torch.tensor([[1, 0, 0, 0]]), torch.ones(1, 3), torch.tensor(1.0), torch.ones(4) > 0):
            with pytest.raises(ValueError, match="style: .*right would be"):
                made.point(wrong)
        for number in (-1, 4):
            with pytest.raises(ValueError, match="there are 4 styles"):
                made.point(torch.tensor([0, number]))
    with pytest.raises(ValueError, match=r"point: \(1, 3\); right would be \(1, 150\)"):
        made.paint(photo, torch.zeros(1, 3))


def test_any_size_comes_back_and_too_small_a_one_does_not():
    made = network()
    for size in ((9, 30), (33, 18)):
        photo = torch.rand(1, 3, *size)
        with torch.no_grad():
            assert made(photo, torch.tensor([0])).shape == photo.shape
    with pytest.raises(ValueError, match="at least 8"):
        made(torch.rand(1, 3, 7, 30), torch.tensor([0]))


def test_a_new_style_changes_nothing_but_itself():
    """A step of training moves the new row alone: filters and the other styles stay, to the bit."""
    made, photo = network(), load("china", size=40)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.add("etretat")
    assert made.styles == [*NAMES, "etretat"] and made.settings["styles"] == made.styles
    mean = made.point(torch.arange(4)).mean(0)
    assert torch.allclose(made.point(torch.tensor([4]))[0], mean, atol=1e-5)
    trained = [p for p in made.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        made(photo, torch.tensor([4])).square().mean().backward()
        optimizer.step()
    for name, value in made.state_dict().items():
        assert torch.equal(value[:4] if name.startswith("tables") else value, before[name])
    assert (made.point(torch.tensor([4]))[0] - mean).abs().max().item() > 0.1
    with pytest.raises(ValueError, match="etretat is taken"):
        made.add("etretat")


@pytest.mark.parametrize(
    ("make", "words"),
    [(lambda: Painter(0), "width"), (lambda: Painter(4, -1), "blocks"), (lambda: ManyStyles([], 4), "styles"),
     (lambda: ManyStyles(["a", "a"], 4), "each of them once"), (lambda: ManyStyles(["a:b"], 4), "no comma, colon")],
)  # fmt: skip
def test_what_is_no_network(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_written_and_read_again(many, tmp_path):
    again = load_network(many, device="cpu")
    assert isinstance(again, ManyStyles) and again.styles == NAMES
    photo = load("china", size=40)
    with torch.no_grad():  # half precision in the file
        assert float((again(photo, torch.tensor([2])) - network()(photo, torch.tensor([2]))).abs().max()) < 0.02
    torn = tmp_path / "other.safetensors"
    made = network()
    made.settings = made.settings | {"styles": NAMES[:2]}  # of another number of styles than its tables
    save_network(made, torn)
    with pytest.raises(EncoderError, match="no network that paints"):
        load_network(torn)


def test_mixtures_in_words():
    made = network()
    for words, weights in (
        ("wave:0.5, scream:1.5", [0.25, 0.75, 0, 0]),
        ("great-wave,rhone", [0.5, 0, 0, 0.5]),
        ("wave,great-wave,scream:0", [1, 0, 0, 0]),
        ("starry-night", [0, 0, 1, 0]),  # its whole name, though another begins so
    ):
        assert torch.allclose(point_of(words, made), made.point(torch.tensor([weights]).float()), atol=1e-6)
    for words, said in (
        ("wave:-1", "wave:-1; a weight must be a number from 0"),
        ("wave:much", "wave:much; a weight must be"),
        ("wave:nan", "a weight must be"),
        ("wave:1e39", "a weight must be"),
        ("wave:0,scream:0", "at least one weight must be above 0"),
        ("night", "'night' is more than one; there is starry-night, starry-night-over-the-rhone"),
        ("great-wafe", "'great-wafe' is not known; there is great-wave"),
        ("", "not known"),
    ):
        with pytest.raises(ValueError, match=said):
            point_of(words, made)


def test_a_file_of_many_styles_paints(many, tmp_path, capsys):
    """One style, a mixture, a batch, the shell, and the picture made again from its record."""
    photo = load("china", size=48)
    with torch.no_grad():
        expected = load_network(many, "cpu")(photo, torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    made = stylize("china", style=f"{many}#wave,scream", size=48, device="cpu")
    assert torch.allclose(made, expected, atol=1e-5)
    both = dict(stylize_all(["china", "china"], style=f"{many}#wave,scream", size=48, batch=2, device="cpu"))
    assert all(torch.allclose(one, made, atol=1e-5) for one in both.values())
    out = tmp_path / "out.png"
    assert cli.main(["stylize", "china", "--style", f"{many}#scream", "--size", "48", "-o", str(out), "--quiet"]) == 0
    name, pictures, arguments = records.again(out)
    assert name == "stylize" and arguments["strength"] == 1 and pictures["style"] == f"{many}#scream"
    again = stylize(**pictures, **arguments, device="cpu")
    assert float((again - images.read(out)).abs().max()) <= 0.5 / 255 + 1e-6
    for style, words in ((many, "it has many styles; name one"), (f"{many}#monet", "not known"),
                         ("starry-night#wave", "not known"), (f"{many}x#wave", "not known")):  # fmt: skip
        with pytest.raises(EncoderError, match=words):
            painter(style, "cpu")


def test_strength_and_colours(many):
    """Strength is a mean with the photo; kept colours leave the brightness of the painted picture."""
    photo, style = resize(load("china"), (32, 48)), f"{many}#wave"
    full = stylize(photo, style=style, size=48, device="cpu")
    assert torch.allclose(stylize(photo, style=style, size=48, strength=0, device="cpu"), photo, atol=1e-6)
    half = stylize(photo, style=style, size=48, strength=0.5, device="cpu")
    assert torch.allclose(half, (full + photo) / 2, atol=1e-6)
    kept = stylize(photo, style=style, size=48, keep_colours="luminance", device="cpu")
    chroma = torch.tensor([[0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])  # I and Q of YIQ
    apart = [torch.einsum("qc,bchw->bqhw", chroma, picture) for picture in (kept, photo)]
    assert float((apart[0] - apart[1]).abs().max()) < 0.01
    with pytest.raises(ValueError, match="strength"):
        stylize(photo, style=style, strength=1.5)


@pytest.mark.slow
def test_trained_on_several_styles(tmp_path):
    """`styletx train` with two styles writes a network of both, and does not start without what it needs."""
    out = tmp_path / "two.safetensors"
    given = ["train", "--style", "waves", "mosaic", "--photos", str(tmp_path / "photos"), "--width", "2", "--side",
             "32", "--size", "48", "--steps", "3", "--batch", "2", "--preview", "china", "-o", str(out)]  # fmt: skip
    (tmp_path / "photos").mkdir()
    images.write(load("china", size=64), tmp_path / "photos" / "a.png")
    assert cli.main(given) == 0
    assert load_network(out, "cpu").styles == ["waves", "mosaic"]
    assert F.mse_loss(*(stylize("china", style=f"{out}#{one}", size=48) for one in ("waves", "mosaic"))) > 0
    assert cli.main([*given, "--norm", "batch"]) == 2
    assert cli.main([part for part in given if part != "mosaic"] + ["--inner", "8"]) == 2

    # One style more: its own numbers move, everything else stays, to the bit of the file.
    more = tmp_path / "three.safetensors"
    given = ["train", "--style", "woodcut", *given[4 : given.index("-o")]]
    assert cli.main([*given, "-o", str(more), "--add", str(out), "--rate", "0.1"]) == 0
    before, after = load_network(out, "cpu"), load_network(more, "cpu")
    assert after.styles == ["waves", "mosaic", "woodcut"]
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name][: len(value)], value), name
    mean = before.point(torch.arange(2)).mean(0)
    assert float((after.point(torch.tensor([2])) - mean).abs().max()) > 0.05
    for wrong in (["--optimizer", "soap"], ["--style", "a", "b"]):
        assert cli.main([*given, "-o", str(more), "--add", str(out), *wrong]) == 2
    assert cli.main([*given, "-o", str(more), "--add", "wave"]) == 2  # of one style
    assert cli.main([*given, "-o", str(out), "--add", str(out)]) == 2  # over itself


@pytest.mark.slow
def test_any_style_is_trained_from_a_narrower_network(tmp_path, monkeypatch):
    """It begins as the network for its styles, to the last digit, though it is wider; then both kinds of step work."""
    torch.manual_seed(0)
    begun = ManyStyles(any_style.NAMED, 2, blocks=5)
    with torch.no_grad():
        for table in begun.tables:
            table.add_(torch.randn_like(table) * 0.3)
    wider = AnyStyle(any_style.NAMED, 6, 2, inner=11)
    any_style.begin_as(wider, begun)
    photo, styles = load("china", size=40).expand(2, -1, -1, -1), torch.tensor([0, 5])
    with torch.no_grad():
        assert torch.allclose(wider(photo, styles), begun(photo, styles), atol=1e-6)
        middle = wider.point(torch.eye(16)).mean(0)
    assert torch.allclose(wider.decode.bias, middle, atol=1e-6)
    with pytest.raises(ValueError, match="begin: no network for starry-night"):
        any_style.begin_as(wider, network())

    save_network(begun, tmp_path / "many.safetensors")
    (tmp_path / "photos").mkdir()
    images.write(load("china", size=64), tmp_path / "photos" / "a.png")
    monkeypatch.setattr(samples, "load", lambda name, size=None: styles_made.make("waves", 48, 48))
    monkeypatch.setattr(samples, "names", lambda kind=None, **which: ["waves", "mosaic"])
    out = tmp_path / "any.safetensors"
    given = ["--photos", str(tmp_path / "photos"), "--begin", str(tmp_path / "many.safetensors"), "--out", str(out),
             "--width", "2", "--inner", "8", "--side", "32", "--size", "48", "--batch", "2", "--steps"]  # fmt: skip
    any_style.main([*given, "2", "--optimizer", "adam"])
    made = load_network(out, "cpu")
    assert isinstance(made, AnyStyle) and made.styles == list(any_style.NAMED)
    changed = {name: float((value - begun.state_dict()[name]).abs().max())
               for name, value in made.state_dict().items() if name.startswith("tables.7")}  # fmt: skip
    assert max(changed.values()) > 1e-5 and float(made.decode.weight.abs().max()) > 0
    any_style.main([*given, "4", "--optimizer", "adam"])  # goes on from its checkpoint


def test_a_point_is_predicted_from_statistics():
    """By hand: centred, divided, two linear maps with a ReLU between them; it begins as instance normalisation."""
    torch.manual_seed(0)
    made = AnyStyle(NAMES, 6, width=4, blocks=1, code=3).eval()
    known = torch.randn(20, 6) * 4 + 2
    made.scale_to(known)
    with torch.no_grad():
        points = made.predict(known[:2])
        code = F.relu(
            F.linear((known[:2] - known.mean(0)) / known.std(0, correction=0), made.encode.weight, made.encode.bias)
        )
        assert torch.allclose(points, F.linear(code, made.decode.weight, made.decode.bias), atol=1e-5)
        made.decode.weight.zero_()
        photo = load("china", size=40)
        plain = made(photo, torch.tensor([0]))  # its table begins with γ = 1 and β = 0
        assert torch.allclose(made.paint(photo, made.predict(known[:1])), plain, atol=1e-5)
    with pytest.raises(ValueError, match="code"):
        AnyStyle(NAMES, 6, code=0)


def test_style_statistics_are_means_and_spreads():
    features = {"a": torch.rand(2, 3, 4, 5), "b": torch.rand(2, 2, 2, 3)}
    found = style_statistics(features)
    assert found.shape == (2, 10)
    a, b = features["a"][1].flatten(1), features["b"][1].flatten(1)
    expected = torch.cat([a.mean(1), a.std(1, correction=0), b.mean(1), b.std(1, correction=0)])
    assert torch.allclose(found[1], expected, atol=1e-6)


def test_styles_to_train_on():
    """Windows of paintings and of photos, in range, of one size; the generator decides all of it."""
    drawn = Styles(["waves", "mosaic"], Photos(["china", "coffee"], 32), 40)
    found = [drawn(torch.Generator().manual_seed(seed)) for seed in range(30)]
    assert all(one.shape == (1, 3, 40, 40) and float(one.min()) >= 0 and float(one.max()) <= 1.001 for one in found)
    assert torch.equal(found[7], drawn(torch.Generator().manual_seed(7)))
    assert len({round(float(one.mean()), 5) for one in found}) > 25
