from dataclasses import replace

from dagcast.evolution import evolution_of
from dagcast.plugins import load_plugins

plugins = load_plugins()
eta = next(p for p in plugins.plugins if p.distribution == "dagcast-eta")
# Had the last release promised one output more, the version of today would be too low.
wait = replace(eta.contracts[-1].outputs[0], name="wait")
before = replace(eta.contracts[-1], outputs=(*eta.contracts[-1].outputs, wait))
(problem,) = evolution_of(plugins, {"dagcast-eta": (*eta.contracts[:-1], before)})
assert problem.code == "DC301"
assert "wait" in str(problem)
assert evolution_of(plugins, {"dagcast-eta": eta.contracts}) == ()
