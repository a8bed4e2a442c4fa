"""Panels: immutable sets of tensors by name; see `Panel`."""

from dagcast_core.tensor._panel._panel import Panel

__all__ = ["Panel"]
