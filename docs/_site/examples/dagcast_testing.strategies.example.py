from hypothesis import given, settings

from dagcast_incentives import IncentiveResponse
from dagcast_testing.strategies import panels

model = IncentiveResponse(("boost", "guarantee"), ("SFO", "OAK"))


@settings(max_examples=5, deadline=None)
@given(panels(model))
def hours_are_finite(inputs):
    hours = model.predict(inputs)["incremental_driver_hours"]
    assert hours.isfinite().all().item()


hours_are_finite()
