"""Contracts and algebra of dagcast; the public names are listed in `__init__.pyi`.

They are imported on first use: a contract check needs neither torch nor pandas, and must not pay
seconds for importing them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
