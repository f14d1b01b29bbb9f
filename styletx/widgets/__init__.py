"""What a lecture puts on the page: one Panel for every method, and a painter of masks."""

from .mask_painter import MaskPainter
from .panel import Panel

__all__ = ["MaskPainter", "Panel"]
