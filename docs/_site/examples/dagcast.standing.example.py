from dagcast.plugins import load_plugins
from dagcast.standing import Held, standing_aside

# A store with sessions and nothing else: who cannot work with it, and what would help?
aside = standing_aside(load_plugins(), Held(frozenset({"sessions"}), frozenset({"hour_of_week"})))
for item in aside:
    print(item.model, item)
assert "eta" in {item.model for item in aside}
