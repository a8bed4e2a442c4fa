from dagcast.config import Config
from dagcast.hyperparameters import tuned
from dagcast_eta import PickupStretch

built = {"eta": [PickupStretch(("SFO", "OAK"))]}
# As `[models.eta]` of dagcast.toml has it.
config = Config(models={"eta": {"exponent": 0.6}})
(model,) = tuned(built, config.models)["eta"]
assert model.hyperparameters.exponent == 0.6
