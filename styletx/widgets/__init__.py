"""What a lecture puts on the page: one Panel, for every method."""

from .panel import Panel

__all__ = ["Panel"]
