from dagcast_core.contract import Contract, Dim, Effect, Quantity, assemble, evolution_problem
from dagcast_core.dims import HOUR

REGION = Dim("region")
SPEND = Quantity("spend", (REGION, HOUR), "USD/h", bounds=(0, None))
HOURS = Quantity("open_hours", (REGION, HOUR), "h/h", bounds=(0, None))
supply = Contract("supply", inputs=(SPEND,), outputs=(HOURS,), effects=(Effect(SPEND, HOURS),))

per_day = Quantity("open_hours", (REGION, HOUR), "h/day", bounds=(0, None))
WAIT = Quantity("wait", (REGION, HOUR), "min")
wait = Contract("wait", inputs=(per_day,), outputs=(WAIT,), effects=(Effect(per_day, WAIT, "-"),))

(problem,) = assemble([supply, wait], externals=[SPEND]).problems
assert problem.code == "DC105"  # h/day is expected, h/h is made
changed = Contract("supply", inputs=(SPEND,), outputs=(per_day,), effects=(Effect(SPEND, per_day),))
assert "write version='2.0.0'" in str(evolution_problem(supply, changed))
