"""What a lecture puts on the page: one Panel for every method, a painter of masks, and the graph of a picture."""

from .graph_panel import GraphPanel
from .mask_painter import MaskPainter
from .panel import Panel

__all__ = ["GraphPanel", "MaskPainter", "Panel"]
