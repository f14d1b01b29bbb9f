"""Content and style of Gatys et al. (lecture 03), and the many normalisations that go by the same names."""

from ..statistics import gram, identity
from .base import Loss, mean_squared

# (1/NM) Σ (F − P)²: the mean, where Gatys et al. write ½ Σ. Source: Gatys, Ecker & Bethge 2016, Eq. 1.
content_loss = Loss(identity, mean_squared, name="content", aligned=True)

# (1/N²M²) Σ (G − A)² with G = F Fᵀ: four times Gatys' E_l. Source: Gatys, Ecker & Bethge 2016, Eq. 4.
gram_loss = Loss(gram, mean_squared, name="gram")

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
