"""The methods by name: `METHODS[name](content, ...)` gives a picture, or a Run that makes one.

The command line, the panels, the demo and the doctor are built from this table and from the methods' signatures.
"""

from collections.abc import Callable

from . import classics, deep_photo, enlarge, gatys, inversion, photo_wct, smoothing, stylize, textures, wct

METHODS: dict[str, Callable] = {
    "gatys": gatys.gatys,
    "invert": inversion.invert,
    "reinhard": classics.reinhard,
    "stylize": stylize.stylize,
    "enlarge": enlarge.enlarge,
    "texture": textures.texture,
    "wct": wct.wct,
    "adain": wct.adain,
    "photo": photo_wct.photo_wct,
    "smooth": smoothing.smooth,
    "deep-photo": deep_photo.deep_photo,
}
