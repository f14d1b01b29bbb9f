"""Arguments that several methods take, written once."""

from collections.abc import Sequence
from typing import Annotated

from ..encoders import DEEP, ENCODERS, Encoder
from ..samples import Source
from .options import Choice, Number, Picture

Content = Annotated[Source, Picture("the photograph to be painted")]
Photo = Annotated[Source, Picture("the photograph to be changed")]
Style = Annotated[Source | Sequence[Source], Picture("the picture to take the style from, or several", many=True)]
StylePhoto = Annotated[Source, Picture("the photograph to take the light and the colours from")]
LongerSide = Annotated[int, Number(32, 4096, step=32, help="longer side of the result in pixels")]
Steps = Annotated[int, Number(1, 5000, step=10, help="budget of evaluations")]
Scale = Annotated[float, Number(0.1, 4, step=0.1, help="size of the style's strokes and patterns")]
Mix = Annotated[
    Sequence[float] | None, Number(0, 1e3, many=True, help="how much of each style, where there are several")
]
Mask = Annotated[Source | None, Picture("regions of the content, one colour for each style")]
StyleMask = Annotated[Source | None, Picture("regions of the style, in the same colours")]
ContentWeight = Annotated[float, Number(0, 1e6, log=True, help="α, the weight of the content (relative)")]
Network = Annotated[str | Encoder, Choice(DEEP, help="the network that looks", also=tuple(ENCODERS))]
