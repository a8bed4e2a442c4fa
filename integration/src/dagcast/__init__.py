"""Assembles team models into one causal DAG; checks, fits, backtests, plans, reviews, releases.

Every stage of the command `dagcast` is a function of `dagcast.workflow`. The public names are
listed in `__init__.pyi` and imported on first use: the command's help needs neither torch nor a
team package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
