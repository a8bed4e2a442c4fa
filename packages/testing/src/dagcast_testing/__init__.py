"""The conformance suite that every model passes, and the template of a team package."""

from dagcast_testing._guard import SuiteError, explained
from dagcast_testing._setting import Setting
from dagcast_testing._suite import ModelContract

__all__ = ["ModelContract", "Setting", "SuiteError", "explained"]
