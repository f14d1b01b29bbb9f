"""The slow strips of the lectures: python -m styletx.recipes.gallery [NAME ...], also `make gallery`.

Each function of these modules is one figure: it runs the method at full quality, and gives pictures with captions and
what was measured. Each module lists its figures with the number of pictures in a row. Pictures are kept as JPEG in
styletx/gallery/, the numbers beside them in numbers.json.
"""

from torch import Tensor

Strip = tuple[list[Tensor], list[str], dict]
SIZE = 384
PHOTO, PAINTING = "kodak-21", "starry-night"
