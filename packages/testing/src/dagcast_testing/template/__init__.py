"""The template of a team package: files with ``{placeholders}``, each ending in ``.in``.

``render`` fills them in. Placeholders: ``distribution``, ``module``, ``name``, ``quantity``,
``constant``, ``model`` and ``file``. ``_repository`` and ``_notebook`` hold what only those kinds
have.
"""

from dagcast_testing.template._render import Kind, render

__all__ = ["Kind", "render"]
