from dagcast.plugins import load_plugins

plugins = load_plugins(disable=["simulator"])
for plugin in plugins.plugins:
    print(plugin.distribution, plugin.version, [contract.model for contract in plugin.contracts])
assert plugins.disabled == ("simulator",)
assert plugins.problems == ()
