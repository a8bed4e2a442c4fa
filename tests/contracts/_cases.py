"""What somebody gets wrong in a model or its contract, by kind, each with its harmless twin."""

from _mutations import Change

AHEAD = "test_never_reads_past_the_look_ahead"
BACK = "test_reads_back_no_further_than_its_memory"
BOUNDS = "test_inputs_at_their_bounds_give_finite_values_and_gradients"
DIFFERENCES = "test_gradients_equal_finite_differences"
REPEATABLE = "test_prediction_is_repeatable"
SIGNS = "test_effects_have_the_declared_sign_in_every_region"
STATE = "test_state_dict_round_trip"
UNSEEN = "test_unseen_labels_are_pooled"
WARM = "test_warm_start_takes_data_as_it_comes"
RIDES = "        rides = sessions.clamp(min=0.0) * chance\n"
CHANCE = "        dear = self.cost * price\n"


def model(old, new):
    return Change("model.py", old, new)


def contract(old, new):
    return Change("contract.py", old, new)


def after_rides(lines):
    """A change that adds ``lines`` once the rides are computed."""
    return model(RIDES, RIDES + "".join(f"        {line}\n" for line in lines.split("\n")))


def after_start(lines):
    """A change that adds ``lines`` to the constructor."""
    last = "        self.wet = self.parameter(start=0.02)\n"
    return model(last, last + "".join(f"        {line}\n" for line in lines.split("\n")))


def warm(line):
    """A change of what is learned from another team's bookings."""
    return model('self.usual.fill_(history["bookings"].tensor.nanmean())', line)


BOOKED = after_rides('rides = rides * getattr(self, "booked", 1.0)')
EXP = '        self.cost = self.parameter(REGION, labels=regions, start=0.05, transform="exp")\n'
NOW = "        dear = dear * (d.now().year > 0)\n"
THEN = "        dear = dear * (d(2026, 1, 5).year > 0)\n"
JOIN = "    contract = CONTRACT\n"
INNER = '    join = "inner"\n'
IMPORT = "import torch\n"
# By kind: name, what breaks, its harmless twin, the test that catches it, what the line says.
KINDS = {
    "left alone": [
        (
            "input changed in place",
            after_rides("with torch.no_grad():\n    sessions.tensor.mul_(1.01)"),
            after_rides("with torch.no_grad():\n    sessions.tensor.clone().mul_(1.01)"),
            "test_prediction_changes_nothing",
            "expected input 'sessions' unchanged; found it changed in place",
        ),
        (
            "torch told how to work",
            after_rides("torch.set_default_dtype(torch.float64)"),
            after_rides("torch.get_default_dtype()"),
            REPEATABLE,
            "found that it changes torch's default dtype",
        ),
        (
            "history changed in place",
            warm("self.usual.fill_(history['bookings'].tensor.add_(1.0).nanmean())"),
            warm("self.usual.fill_(history['bookings'].tensor.add(1.0).nanmean())"),
            WARM,
            "expected warm_start to leave the history as it was; found bookings changed in place",
        ),
    ],
    "values and bounds": [
        (
            "not a number",
            after_rides("rides = rides * (sessions - sessions) / (sessions - sessions)"),
            after_rides("rides = rides * (sessions + 1.0) / (sessions + 1.0)"),
            "test_output_keeps_bounds_and_is_a_number",
            "expected numbers in output 'rides'; found NaN at (region=north, hour=2026-01-05 00:00",
        ),
        (
            "negative output",
            after_rides("rides = rides - 10.0"),
            after_rides("rides = (rides - 10.0).softplus()"),
            "test_output_keeps_bounds_and_is_a_number",
            "expected output 'rides' in (0.0, None); found -",
        ),
        (
            "history without a region",
            warm("self.cost.assign(history['bookings'].mean('hour', skipna=True) / 99)"),
            warm(
                "usual = history['bookings'].mean('hour', skipna=True).tensor\n"
                "            self.usual.fill_(usual.nanmedian())"
            ),
            WARM,
            "expected a start from a history with nothing for the first label of 'region'; found",
        ),
        (
            "no number where two inputs are 0",
            after_rides("rides = rides * (1.0 + sessions / (sessions + price))"),
            after_rides("rides = rides * (1.0 + sessions / (sessions + price + 1.0))"),
            BOUNDS,
            "'rain' are at their least values together",
        ),
        (
            "history with missing cells",
            warm("self.usual.fill_(history['bookings'].tensor.mean())"),
            warm("self.usual.fill_(history['bookings'].mean(skipna=True).tensor)"),
            WARM,
            "expected a start of 'usual' from a history with missing cells; found NaN",
        ),
    ],
    "the contract's own words": [
        (
            "undeclared argument of forward",
            model(
                "        rain: IndexTensor,\n",
                "        rain: IndexTensor,\n        snow: IndexTensor,\n",
            ),
            model("        rain: IndexTensor,\n", "        rain: IndexTensor | IndexTensor,\n"),
            "model",
            "ContractError: forward of Rides does not match the contract 'rides': it reads snow",
        ),
        (
            "a path without an effect",
            contract('        Effect(RAIN, RIDES, sign="?"),\n', ""),
            contract(
                '        Effect(RAIN, RIDES, sign="?"),\n',
                '        Effect(RAIN, RIDES, sign="-"),\n',
            ),
            "test_every_path_is_declared",
            "expected an Effect('rain', 'rides')",
        ),
    ],
    "labels": [
        (
            "inner join with the trained regions",
            (model(JOIN, JOIN + INNER), model("self.cost * price", "self.cost.value() * price")),
            (model(JOIN, JOIN + INNER), model("self.cost * price", "price * self.cost.at(price)")),
            UNSEEN,
            "expected output 'chance' along 'region' to have the 4 labels of its inputs in their "
            "order; found missing unseen region",
        ),
        (
            "one output of two loses a new region",
            after_rides("with align('inner'):\n    rides = self.cost.value() * 0.0 + rides"),
            after_rides("with align('inner'):\n    rides = self.cost.at(rides) * 0.0 + rides"),
            UNSEEN,
            "expected output 'rides' along 'region'",
        ),
        (
            "one output of two loses a known region",
            after_rides("rides = rides.sel(region=[r for r in rides.index('region') if r > 'o'])"),
            after_rides("rides = rides.sel(region=[r for r in rides.index('region') if r > 'a'])"),
            "test_output_labels_are_those_of_the_inputs",
            "expected output 'rides' along 'region' to have the 3 labels of its inputs in their "
            "order; found missing north",
        ),
        (
            "labels turned round",
            after_rides("rides = rides.isel(region=list(range(rides.sizes['region']))[::-1])"),
            after_rides("rides = rides.isel(region=list(range(rides.sizes['region'])))"),
            "test_output_labels_are_those_of_the_inputs",
            "to have the 3 labels of its inputs in their order",
        ),
        (
            "nothing for a new region",
            after_rides(
                "known = [r in self.cost.indexes['region'] for r in rides.index('region')]\n"
                "rides = rides.with_tensor(rides.tensor * torch.tensor(known)[:, None])"
            ),
            after_rides(
                "known = [isinstance(r, str) for r in rides.index('region')]\n"
                "rides = rides.with_tensor(rides.tensor * torch.tensor(known)[:, None])"
            ),
            UNSEEN,
            "expected 'rides' of the unseen label 'unseen region' to be that of the known ones",
        ),
        (
            "a region measured by the others",
            after_rides(
                "rides = rides * (1.0 + 0.001 * (sessions - sessions.mean('region')).tanh())"
            ),
            after_rides("rides = rides * (1.0 + 0.001 * (sessions - 50.0).tanh())"),
            UNSEEN,
            "expected 'rides' of known labels of 'region' to be the same beside an unseen one",
        ),
    ],
    "look-ahead": [
        (
            "looks one hour ahead at 08:00 only",
            after_rides(
                "early = torch.tensor(sessions.index('hour').hour.to_numpy() == 8)\n"
                "later = torch.cat([rides.tensor[:, 1:], rides.tensor[:, -1:]], 1)\n"
                "rides = rides.with_tensor(torch.where(early, later, rides.tensor))"
            ),
            after_rides(
                "early = torch.tensor(sessions.index('hour').hour.to_numpy() == 8)\n"
                "rides = rides.with_tensor(torch.where(early, 0.9 * rides.tensor, rides.tensor))"
            ),
            AHEAD,
            "08:00:00+00:00) and 2 more cells when 'sessions' changed from 2026-01-05 09:00",
        ),
        (
            "waits for the horizon's end",
            after_rides(
                "last = torch.cat([rides.tensor[:, :-1], 2.0 * rides.tensor[:, -1:]], 1)\n"
                "rides = rides.with_tensor(last)"
            ),
            after_rides(
                "same = torch.cat([rides.tensor[:, :-1], rides.tensor[:, -1:]], 1)\n"
                "rides = rides.with_tensor(same)"
            ),
            AHEAD,
            "expected 'rides' not to depend on where the horizon ends",
        ),
        (
            "looks ahead on Friday at 17:00 only",
            after_rides(
                "friday = torch.tensor([(d.day_of_week, d.hour) == (4, 17) for d in "
                "sessions.index('hour')], dtype=torch.bool)\n"
                "later = torch.cat([rides.tensor[:, 1:], rides.tensor[:, -1:]], 1)\n"
                "rides = rides.with_tensor(torch.where(friday, later, rides.tensor))"
            ),
            after_rides(
                "friday = torch.tensor([(d.day_of_week, d.hour) == (4, 17) for d in "
                "sessions.index('hour')], dtype=torch.bool)\n"
                "rides = rides.with_tensor(torch.where(friday, 0.9 * rides.tensor, rides.tensor))"
            ),
            AHEAD,
            "hour=2026-01-09 17:00:00+00:00) and 2 more cells when 'sessions' changed",
        ),
        (
            "looks ahead where it pours",
            after_rides(
                "later = torch.cat([rides.tensor[:, 1:], rides.tensor[:, -1:]], 1)\n"
                "rides = rides.with_tensor(torch.where(rain.tensor > 9.5, later, rides.tensor))"
            ),
            after_rides(
                "wetter = 0.9 * rides.tensor\n"
                "rides = rides.with_tensor(torch.where(rain.tensor > 9.5, wetter, rides.tensor))"
            ),
            AHEAD,
            "expected 'rides' not to depend on 'sessions' more than 0 steps ahead",
        ),
    ],
    "memory": [
        (
            "right but one hour late",
            after_rides(
                "late = torch.cat([rides.tensor[:, :1], rides.tensor[:, :-1]], 1)\n"
                "rides = rides.with_tensor(late)"
            ),
            after_rides(
                "same = torch.cat([rides.tensor[:, :1], rides.tensor[:, 1:]], 1)\n"
                "rides = rides.with_tensor(same)"
            ),
            BACK,
            "expected 'rides' not to depend on inputs more than 0 steps back",
        ),
    ],
    "gradients": [
        (
            "gradient cut for part of the cells",
            after_rides(
                "quiet = sessions.tensor < 30.0\n"
                "rides = rides.with_tensor(torch.where(quiet, rides.tensor.detach(), rides.tensor))"
            ),
            after_rides(
                "quiet = sessions.tensor < 30.0\n"
                "rides = rides.with_tensor(torch.where(quiet, rides.tensor.clone(), rides.tensor))"
            ),
            DIFFERENCES,
            "found 0 at (region=",
        ),
        (
            "gradient cut in one cell",
            after_rides(
                "flat = rides.tensor.clone()\nflat[..., 7:8] = flat[..., 7:8].detach()\n"
                "rides = rides.with_tensor(flat)"
            ),
            after_rides(
                "flat = rides.tensor.clone()\nflat[..., 7:8] = flat[..., 7:8] * 1.0\n"
                "rides = rides.with_tensor(flat)"
            ),
            DIFFERENCES,
            "found 0 at (region=north, hour=2026-01-05 07:00:00+00:00), the first such cell",
        ),
        (
            "gradient of a parameter cut",
            after_rides("rides = rides * (1.0 + self.wet.value().tensor.detach() ** 2)"),
            after_rides("rides = rides * (1.0 + self.wet.value().tensor.clone() ** 2)"),
            DIFFERENCES,
            "expected the gradient of 'rides' by the parameter 'wet' to equal the finite",
        ),
        (
            "gradient through rounding",
            after_rides(
                "rides = rides + (rides.with_tensor(rides.tensor.round()) - rides).detach()"
            ),
            after_rides("rides = rides + (rides - rides).detach()"),
            DIFFERENCES,
            "to equal the finite difference 0; found",
        ),
    ],
    "windows": [
        (
            "a position in the window",
            after_rides(
                "step = torch.arange(rides.tensor.shape[1]).double()\n"
                "rides = rides.with_tensor(rides.tensor * (1.0 + 1e-3 * step))"
            ),
            after_rides(
                "step = torch.tensor([float(label.day) for label in sessions.index('hour')])\n"
                "rides = rides.with_tensor(rides.tensor * (1.0 + 1e-3 * step))"
            ),
            "test_other_windows",
            "expected 'rides' not to depend on where a window begins",
        ),
        (
            "a day of the year beyond 365",
            after_rides(
                "table = torch.ones(365, dtype=torch.float64)\n"
                "day = torch.tensor([label.day_of_year - 1 for label in sessions.index('hour')], "
                "dtype=torch.long)\n"
                "rides = rides.with_tensor(rides.tensor * table[day + (day > 58)])"
            ),
            after_rides(
                "table = torch.ones(367, dtype=torch.float64)\n"
                "day = torch.tensor([label.day_of_year - 1 for label in sessions.index('hour')], "
                "dtype=torch.long)\n"
                "rides = rides.with_tensor(rides.tensor * table[day + (day > 58)])"
            ),
            "test_other_windows",
            "expected a prediction over a year's end; found IndexError",
        ),
        (
            "an hour that the clocks skip",
            after_rides(
                "local = sessions.index('hour').tz_convert('Europe/Berlin').tz_localize(None)\n"
                "rides = rides.isel(hour=[i for i, d in enumerate(local.duplicated()) if not d])"
            ),
            after_rides(
                "local = sessions.index('hour').tz_convert('Europe/Berlin')\n"
                "rides = rides.isel(hour=[i for i, d in enumerate(local.duplicated()) if not d])"
            ),
            "test_other_windows",
            "expected output 'rides' along 'hour' to have the 24 labels of its inputs",
        ),
        (
            "a horizon of one hour",
            after_rides("rides = rides.with_tensor(rides.tensor + 0.0 * rides.tensor[:, [1]])"),
            after_rides("rides = rides.with_tensor(rides.tensor + 0.0 * rides.tensor)"),
            "test_short_horizons",
            "expected a prediction over a horizon of 1 steps; found",
        ),
        (
            "the same day of another year",
            after_rides("[hour.replace(year=2027) for hour in sessions.index('hour')]"),
            after_rides("[hour.replace(year=2032) for hour in sessions.index('hour')]"),
            "test_other_windows",
            "expected a prediction over a leap day; found ValueError",
        ),
    ],
    "bit for bit": [
        (
            "start values that differ between two constructions",
            model("start=0.02", "start=0.02 * float(torch.rand(()))"),
            model("start=0.02", "start=0.02 * float(torch.ones(()))"),
            "test_two_constructions_agree",
            "expected 'wet.raw' to start the same in every construction",
        ),
        (
            "a wall clock read",
            Change(
                "model.py", CHANCE, CHANCE + "        dear = dear * (1.0 + (time.time() > 0))\n"
            ),
            Change(
                "model.py",
                CHANCE,
                CHANCE + "        dear = dear * (1.0 + (time.gmtime(0)[0] > 0))\n",
            ),
            REPEATABLE,
            "reads the clock, time.time()",
        ),
        (
            "a calendar date read",
            Change(
                "model.py", CHANCE, CHANCE + "        dear = dear * (pd.Timestamp.now().year > 0)\n"
            ),
            Change(
                "model.py", CHANCE, CHANCE + "        dear = dear * (pd.Timestamp(0).year > 0)\n"
            ),
            REPEATABLE,
            "reads the clock, pd.Timestamp.now()",
        ),
        (
            "a clock read in a function's own import",
            model(CHANCE, "        from datetime import datetime as d\n\n" + CHANCE + NOW),
            model(CHANCE, "        from datetime import datetime as d\n\n" + CHANCE + THEN),
            REPEATABLE,
            "reads the clock, d.now()",
        ),
        (
            "a global generator",
            after_rides("rides = rides * float(np.random.rand())"),
            after_rides("rides = rides * float(np.random.default_rng(0).random())"),
            REPEATABLE,
            "expected the same 'rides' from the same inputs; found a difference between two calls",
        ),
        (
            "a date as text",
            model(CHANCE, CHANCE + "        dear = dear * (time.strftime('%Y') > '0')\n"),
            model(CHANCE, CHANCE + "        dear = dear * (time.strftime('%Y', (0,) * 9) > '')\n"),
            REPEATABLE,
            "reads the clock, time.strftime('%Y')",
        ),
        (
            "the global generator seeded",
            after_rides("torch.manual_seed(7)\nrides = rides * (1.0 + float(torch.rand(())))"),
            after_rides(
                "own = torch.Generator().manual_seed(7)\n"
                "rides = rides * (1.0 + float(torch.rand((), generator=own)))"
            ),
            REPEATABLE,
            "found that it changes torch's global generator",
        ),
        (
            "a warm start at random",
            warm("self.usual.fill_(history['bookings'].tensor.nanmean() + torch.rand(()))"),
            warm("self.usual.fill_(history['bookings'].tensor.nanmean() + torch.ones(()))"),
            WARM,
            "expected the same start of 'usual' from the same history; found another one",
        ),
    ],
    "state": [
        (
            "state outside state_dict from another team's quantity",
            (
                model(
                    'self.usual.fill_(history["bookings"].tensor.nanmean())',
                    'self.booked = float(history["bookings"].tensor.nanmean())',
                ),
                after_rides('rides = rides * getattr(self, "booked", 1.0)'),
            ),
            model("tensor.nanmean())", "tensor.double().nanmean())"),
            STATE,
            "found that warm_start left something outside",
        ),
        (
            "state of whole weeks alone",
            (warm("self.booked = history['bookings'].sizes['hour'] // 168"), BOOKED),
            (warm("self.usual.fill_(history['bookings'].sizes['hour'] // 168)"), BOOKED),
            STATE,
            "found that warm_start left something outside",
        ),
        (
            "state in the class",
            (warm("Rides.booked = float(history['bookings'].tensor.nanmean())"), BOOKED),
            (warm("booked = float(history['bookings'].tensor.nanmean())"), BOOKED),
            STATE,
            "expected 'rides' of one model to stay as it was when another was started",
        ),
    ],
    "precision and size": [
        (
            "overflow",
            after_rides("rides = rides * (0.001 * (1.0 + rain).log() * rain * 1e3).exp().log1p()"),
            after_rides("rides = rides * (0.001 * rain).tanh().exp().log1p()"),
            "test_large_values_and_single_precision",
            "found an infinite value at",
        ),
        (
            "float32 half-way",
            after_rides("rides = (rides.to(torch.float32) * 1.0).to(torch.float64)"),
            after_rides("rides = (rides.to(torch.float64) * 1.0).to(torch.float64)"),
            DIFFERENCES,
            "to equal the finite difference",
        ),
        (
            "digits that cancel in float32",
            after_rides("rides = rides + ((sessions + 1e7) - 1e7).abs()"),
            after_rides("rides = rides + ((sessions + 1.0) - 1.0).abs()"),
            "test_large_values_and_single_precision",
            "expected 'rides' of inputs in float32 to equal that of the same in float64",
        ),
    ],
    "roll-ups": [
        (
            "a share that is summed",
            contract("aggregation=BY_SESSIONS", "aggregation=SUM"),
            contract("aggregation=BY_SESSIONS", 'aggregation={"region": Weighted("sessions")}'),
            "test_outputs_roll_up_as_declared",
            "expected output 'chance' in (0.0, 1.0); found",
        ),
        (
            "a rate per ride that is summed",
            contract(
                'RIDES = Quantity("rides", BY_CELL, "ride/h"',
                'RIDES = Quantity("rides", BY_CELL, "ride/session"',
            ),
            contract(
                'RIDES = Quantity("rides", BY_CELL, "ride/h"',
                'RIDES = Quantity("rides", BY_CELL, "ride/day"',
            ),
            "test_outputs_roll_up_as_declared",
            "expected output 'rides' in ride/session to be averaged along 'region'",
        ),
    ],
    "label order": [
        (
            "weights by position",
            after_rides(
                "place = 1.0 + (torch.arange(rides.tensor.shape[0]) % 2).double()\n"
                "rides = rides.with_tensor(rides.tensor * place[:, None])"
            ),
            after_rides(
                "place = 1.0 + 0.0 * torch.arange(rides.tensor.shape[0]).double()\n"
                "rides = rides.with_tensor(rides.tensor * place[:, None])"
            ),
            UNSEEN,
            "expected 'rides' of the unseen label 'unseen region' of 'region' to be the same by",
        ),
        (
            "a warm start by position",
            warm("self.cost.assign(history['bookings'].values('region', 'hour').nanmean(1) / 99)"),
            warm(
                "usual = history['bookings'].mean('hour', skipna=True) / 99\n"
                "            self.cost.assign(torch.where(usual > 0, usual, 0.1))"
            ),
            WARM,
            "expected 'chance' after warm_start to be the same when the labels of 'region' come in "
            "another order in the history",
        ),
    ],
    "signs": [
        (
            "a turned sign",
            model("(-dear - 0.1", "(dear - 6.0 - 0.1"),
            model("(-dear - 0.1", "(-1.1 * dear - 0.1"),
            SIGNS,
            "expected the effect price -> chance (-) to have the sign '-' everywhere",
        ),
        (
            "a sign turned at the very end of what is typical",
            model(
                "(-dear - 0.1", "(-dear + 0.2 * (price - 19.9999).clamp(min=0.0, max=0.001) - 0.1"
            ),
            model(
                "(-dear - 0.1", "(-dear - 0.2 * (price - 19.9999).clamp(min=0.0, max=0.001) - 0.1"
            ),
            SIGNS,
            "at the ends of what is typical",
        ),
    ],
}
