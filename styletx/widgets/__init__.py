"""What a lecture puts on the page: a Panel for every method, one to mix styles, a mask painter, a picture's graph."""

from .graph_panel import GraphPanel
from .mask_painter import MaskPainter
from .mixing_panel import MixingPanel
from .panel import Panel

__all__ = ["GraphPanel", "MaskPainter", "MixingPanel", "Panel"]
