from dagcast.release import Metric

current = Metric("mase.eta", 0.81, tolerance=0.02, seeds=(0, 1, 2))
candidate = Metric("mase.eta", 0.84, tolerance=0.02, seeds=(0, 1, 2))
assert candidate.worse_than(current) > current.tolerance  # it is refused
