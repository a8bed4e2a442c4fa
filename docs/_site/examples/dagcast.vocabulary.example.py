from dagcast.plugins import load_plugins
from dagcast.vocabulary import first_config, known_ahead, observed_in

plugins = load_plugins()
assert observed_in(plugins, "eta") == "sessions"  # the table that it is measured in
assert "temperature" in known_ahead(plugins)
config = first_config(plugins, name="north")  # what a new project begins with
print(config.levers)
