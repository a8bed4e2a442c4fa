import pandas as pd

from dagcast_core.estimate import RawTrial, measure_rows

# Six pairs of days, of which a coin treated one; a bonus brings about two driver hours more.
days = pd.DataFrame({"day": range(12), "pair": [k // 2 for k in range(12)]})
days["treated"] = [0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0]
days["hours"] = 20 + days["pair"] + 2 * days["treated"] + [0.1, -0.2, 0.3, 0, -0.1, 0.2] * 2
trial = RawTrial("switchback", "hours", "treated", ("day",), pairs=("pair",), groups=("pair",))
found = measure_rows(days, trial)
assert abs(found.estimate - 2) < 3 * found.standard_error
# Two of the 64 ways in which the coins could have fallen differ as much as this one.
assert (found.test.p_value, found.test.exact) == (2 / 64, True)
