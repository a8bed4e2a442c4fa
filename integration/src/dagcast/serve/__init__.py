"""The desk in the browser: `dagcast serve`, which needs ``dagcast[app]``.

Pages are made on this side; nothing is loaded from the network. Who may do what is asked of the
rules that the command line asks.
"""

from dagcast.serve._app import Desk
from dagcast.serve._run import serve

__all__ = ["Desk", "serve"]
