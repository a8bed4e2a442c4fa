"""What our docstrings call an example is an example to the renderer too."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Reads ``Example:`` as ``Examples:``, the only one that the parser knows."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of each object as it is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE
            )
