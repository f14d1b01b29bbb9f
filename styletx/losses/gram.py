"""Content and style of Gatys et al. (lecture 03), the normalisations that go by the same names, Gram's relatives."""

from functools import partial

from ..checks import check_whole
from ..statistics import centred_gram, gram, identity, multiscale_gram, shifted_gram
from .base import Loss, mean_squared

# (1/NM) Σ (F − P)²: the mean, where Gatys et al. write ½ Σ. Source: Gatys, Ecker & Bethge 2016, Eq. 1.
content_loss = Loss(identity, mean_squared, name="content", aligned=True)

# (1/N²M²) Σ (G − A)² with G = F Fᵀ: four times Gatys' E_l. Source: Gatys, Ecker & Bethge 2016, Eq. 4.
gram_loss = Loss(gram, mean_squared, name="gram")

# (1/N²) Σ (G̃ − Ã)², G̃ of features without the layer's mean. Source: Li et al. 2017 (Diversified), Eq. 3.
centred_gram_loss = Loss(centred_gram, mean_squared, name="centred gram")

# (1/N²) Σ (Σ − Σ')²: the covariances, that is, the Gram matrices of features without each channel's mean.
covariance_loss = Loss(partial(centred_gram, centre="channel"), mean_squared, name="covariance")


def shifted_gram_loss(shift: int = 4) -> Loss:
    """Gram matrices of features with themselves `shift` positions across and down: symmetry, rows, long edges.

    (1/2N²) Σ over both directions of (G_δ − A_δ)². Source: Berger & Memisevic 2017, Eq. 5 to 8.
    """
    return Loss(
        partial(shifted_gram, shift=shift), mean_squared, name=f"shifted gram, {shift}", min_positions=shift + 1
    )


def multiscale_gram_loss(scales: int = 3) -> Loss:
    """Gram matrices of the features at several scales, the mean over scales. Source: Zhang & Dana 2018, section 3."""
    check_whole("scales", scales, 1)
    return Loss(partial(multiscale_gram, scales=int(scales)), mean_squared, name=f"multi-scale gram, {scales}")


# What a loss of that source is, in units of ours above: N channels, M positions (those of both pictures).
CONVENTIONS = {
    "styletx": (lambda n, m: 1.0, lambda n, m: 1.0),
    "Gatys et al. 2016; Kitov": (lambda n, m: n * m / 2, lambda n, m: 1 / 4),
    "Wonka 1.4": (lambda n, m: 1.0, lambda n, m: 1.0),
    "Ayala & Wolters; Johnson et al. 2016": (lambda n, m: 1.0, lambda n, m: 1.0),
    "Luan et al. 2017; Ranjan": (lambda n, m: 1 / 2, lambda n, m: m**2 / 2),
    "Ulyanov et al. 2016; Wonka 1.5": (lambda n, m: n * m, lambda n, m: n**2 * m**2),
    "Dumoulin et al. 2017; Wonka 1.7": (lambda n, m: 1.0, lambda n, m: n * m),
}


def convention_factor(source: str, term: str, channels: int, positions: int) -> float:
    """How many times ours the "content" or "style" loss of a source is, at N channels and M positions.

    Raises ValueError for a source that is not in `CONVENTIONS` and for another term.
    """
    if source not in CONVENTIONS:
        raise ValueError(f'source: no convention "{source}"; there is {"; ".join(CONVENTIONS)}')
    if term not in ("content", "style"):
        raise ValueError(f'term: "{term}" is neither "content" nor "style"')
    content, style = CONVENTIONS[source]
    return (content if term == "content" else style)(channels, positions)
