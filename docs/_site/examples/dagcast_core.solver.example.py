from dagcast_core.solver import METHODS, Options, method_named

# In the order of preference; `solve(problem, method="slsqp")` asks for one by name.
assert [method.name for method in METHODS][-1] == "slsqp"
assert method_named("slsqp") is METHODS[-1]
# The gap at which a plan is called optimal, relative to the objective.
assert Options(gap=1e-4).gap == 1e-4
