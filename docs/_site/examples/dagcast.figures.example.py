from dagcast.figures import figure, listed

assert figure(1_234_567, "USD") == "$1.23 M"
assert figure(0.081, "1") == "8.1 %"
assert figure(4.618, "min") == "4.62 min"
assert listed(["SFO", "OAK", "SJC"]) == "SFO, OAK and SJC"
