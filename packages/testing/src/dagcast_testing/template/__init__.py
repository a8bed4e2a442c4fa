"""The template of a team package: files with ``{placeholders}``, each ending in ``.in``.

``render`` fills them in. Placeholders: ``distribution``, ``module``, ``name``, ``quantity``,
``constant`` and ``model``.
"""

from dagcast_testing.template._render import render

__all__ = ["render"]
