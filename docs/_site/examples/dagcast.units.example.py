from dagcast.units import scale

assert scale("h", "min") == 60.0
assert scale("cent", "USD") == 0.01
assert scale("ride", "USD") is None  # a price, and no matter of scale
