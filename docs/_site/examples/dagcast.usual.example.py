from dagcast.plugins import load_plugins
from dagcast.standing import Held, standing_aside
from dagcast.usual import USUAL, with_usual

plugins = load_plugins()
held = Held(frozenset({"eta"}), frozenset({"hour_of_week"}))
aside = standing_aside(plugins, held)
# Waiting times are known and their models lack the rest: what is usual stands in for them.
more = with_usual(plugins, held, aside)
assert [p.name for p in more.plugins if p not in plugins.plugins] == [USUAL]
