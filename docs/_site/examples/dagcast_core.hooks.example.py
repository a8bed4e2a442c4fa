import pluggy

import dagcast_core.hooks as hooks
from dagcast_core.contract import Contract, Quantity


class Package:
    """What the module of an entry point looks like to integration."""

    @hooks.hookimpl
    def dagcast_contracts(self):
        return [Contract("wait", outputs=(Quantity("wait", (), "min"),))]


manager = pluggy.PluginManager(hooks.PROJECT)
manager.add_hookspecs(hooks)
manager.register(Package())
((contract,),) = manager.hook.dagcast_contracts()
assert contract.model == "wait"
