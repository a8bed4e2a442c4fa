import torch

from dagcast_core import IndexTensor

sessions = IndexTensor([120.0, 80.0], {"region": ["SFO", "LAX"]}, "sessions")
hours = IndexTensor([20.0, 40.0], {"region": ["LAX", "SFO"]}, "open_hours")
load = sessions / hours  # by label, whatever the order
assert load.to_series().to_dict() == {"SFO": 3.0, "LAX": 4.0}
assert torch.exp(load).dims == ("region",)
