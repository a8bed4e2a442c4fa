from dagcast_core.tensor import IndexTensor, grad

price = IndexTensor([[1.0, 2.0], [3.0, 4.0]], {"region": ["SFO", "LAX"], "hour": [0, 1]}, "price")
demand = IndexTensor([10.0], {"region": ["LAX"]}, "demand")
revenue = price * demand  # the labels that both have
assert revenue.sel(region="LAX", hour=1).item() == 40.0
assert revenue.sum("hour").to_series().to_dict() == {"LAX": 70.0}

slope = grad(lambda p: (p**2).sum())(price)
assert slope.sel(region="SFO", hour=0).item() == 2.0
