from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR, HOUR_OF_WEEK

PROFILE = Quantity("profile", dims=(Dim("region"), HOUR_OF_WEEK), unit="1")
WAIT = Quantity("wait", dims=(Dim("region"), HOUR), unit="min")
assert WAIT.time_dim == HOUR
assert PROFILE.time_dim is None
