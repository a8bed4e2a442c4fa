"""Contracts and algebra of dagcast; see the submodules."""
