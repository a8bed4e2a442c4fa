"""Kinds of what is declared and not kept: effects, parameters, days, starts, returns, roll-ups."""

from _cases import AHEAD, JOIN, REPEATABLE, STATE, UNSEEN, after_rides, after_start, contract, model
from _cases import WARM as WARM_START
from _cases_further import WINDOWS, terms

PATHS = "test_every_path_is_declared"
PREDICTS = "test_model_predicts"
ROLL_UPS = "test_outputs_roll_up_as_declared"
VALUES = "test_output_keeps_bounds_and_is_a_number"
RETURN = 'return {"chance": chance, "rides": rides}'
CHANCE = 'CHANCE = Quantity("chance", BY_CELL, "1", aggregation=BY_SESSIONS, bounds=(0, 1))'
RIDES = 'RIDES = Quantity("rides", BY_CELL, "ride/h", aggregation=SUM, bounds=(0, None))'
DAYS = (
    "days = torch.tensor([{} for d in sessions.index('hour')], dtype=torch.bool)\n"
    "rides = rides.with_tensor(torch.where(days[None], {}, rides.tensor))"
)
ALIKE = (
    contract(CHANCE, CHANCE.replace('"1", aggregation=BY_SESSIONS', '"ride/h", aggregation=SUM')),
    contract("bounds=(0, 1))", "bounds=(0, None), typical=(0, 1))"),
    contract(RIDES, RIDES.replace("bounds", "typical=(2, 100), bounds")),
)


def returned(text):
    """A change of what forward returns."""
    return model(RETURN, f"return {text}")


DECLARED = {
    "declared and not there": [
        (
            "an input that nothing reads",
            model("(self.wet * rain).tanh()", "(self.wet * (rain * 0.0)).tanh()"),
            model("(self.wet * rain).tanh()", "(self.wet * (rain * 1.5)).tanh()"),
            PATHS,
            "expected the declared input 'rain' to move some output",
        ),
        (
            "a parameter that nothing uses",
            after_start("self.dead = self.parameter(start=0.3)"),
            (
                after_start("self.size = self.parameter(start=3.0, transform='exp')"),
                terms("NegativeBinomial('rides', concentration=self.size)"),
            ),
            PATHS,
            "expected every parameter to move an output; found that 'dead' is made and not used",
        ),
        (
            "a memory that hides what is late",
            model(JOIN, JOIN + "    memory = 100\n"),
            (
                model(JOIN, JOIN + "    memory = 4\n"),
                after_rides(
                    "late = torch.cat([rides.tensor[:, :1], rides.tensor[:, :-1]], 1)\n"
                    "rides = rides.with_tensor(rides.tensor + 0.1 * late)"
                ),
            ),
            AHEAD,
            "expected the declared memory to be used; found no output that reads more than 12",
        ),
        (
            "a look-ahead that nothing needs",
            contract("    effects=(", "    look_ahead=24,\n    effects=("),
            contract("    effects=(", "    look_ahead=0,\n    effects=("),
            AHEAD,
            "expected the declared look_ahead to be used; found no output that reads ahead at all",
        ),
        (
            "a sum that it does not make",
            model(JOIN, JOIN + "    sums = ('trips',)\n"),
            model(JOIN, JOIN + "    sums = ('rides',)\n"),
            "model",
            "ContractError: sums of Rides names 'trips'; expected outputs of its contract",
        ),
        (
            "a join of no such kind",
            model(JOIN, JOIN + "    join = 'outer'\n"),
            model(JOIN, JOIN + "    join = 'exact'\n"),
            "model",
            "join of Rides is 'outer'; expected 'exact' or 'inner'",
        ),
    ],
    "any day of a year": [
        (
            "no number in July",
            after_rides(DAYS.format("d.month == 7", "float('nan')")),
            after_rides(DAYS.format("d.month == 7", "0.9 * rides.tensor")),
            WINDOWS,
            "expected numbers in output 'rides'; found NaN at (region=north, hour=2029-07-01",
        ),
        (
            "looks ahead on the 28th",
            after_rides(DAYS.format("d.day == 28", "rides.tensor.roll(-1, 1)")),
            after_rides(DAYS.format("d.day == 28", "rides.tensor.roll(0, 1)")),
            WINDOWS,
            "expected 'rides' not to depend on other hours; found it changed at (region=north, "
            "hour=2029-02-28",
        ),
    ],
    "what torch does not see": [
        (
            "a parameter in a list",
            (
                after_start("self.extra = [self.parameter(start=0.5)]"),
                after_rides("rides = rides * (1.0 + self.extra[0].value())"),
            ),
            (
                after_start("self.extra = torch.nn.ModuleList([self.parameter(start=0.5)])"),
                after_rides("rides = rides * (1.0 + self.extra[0].value())"),
            ),
            STATE,
            "found LabelledParameter in 'extra', which is neither",
        ),
        (
            "a tensor that is to be learned",
            (
                after_start("self.extra = torch.ones((), dtype=torch.float64).requires_grad_()"),
                after_rides("rides = rides * self.extra"),
            ),
            (
                after_start("self.extra = torch.ones((), dtype=torch.float64)"),
                after_rides("rides = rides * self.extra"),
            ),
            STATE,
            "found Tensor in 'extra', which is neither",
        ),
    ],
    "a start as it comes": [
        (
            "what the history may lack",
            model('if "bookings" in history', "if history"),
            model('if "bookings" in history', 'if "bookings" in list(history)'),
            STATE,
            "found LabelError at model.py:",
        ),
        (
            "added to what was",
            model("self.usual.fill_(", "self.usual.add_("),
            model("self.usual.fill_(", "self.usual.zero_().add_("),
            WARM_START,
            "expected 'usual' to start alike whatever was before",
        ),
        (
            "a start that is no number",
            model("start=0.02", "start=float('nan')"),
            model("start=0.02", "start=float('0.03')"),
            "model",
            "ModelError: a parameter starts at nan; expected finite numbers",
        ),
        (
            "a label that has to be there",
            after_rides("rides.sel(region='north')"),
            after_rides("rides.isel(region=0)"),
            UNSEEN,
            "expected a prediction for unseen region of 'region' alone; found LabelError at model",
        ),
        (
            "output of its own",
            after_rides("print('rides', rides.sizes)"),
            after_rides("str(('rides', rides.sizes))"),
            REPEATABLE,
            "expected a prediction that prints nothing",
        ),
    ],
    "what forward returns": [
        (
            "a tuple",
            returned("chance, rides"),
            returned("dict(zip(('chance', 'rides'), (chance, rides)))"),
            PREDICTS,
            "forward of rides returned a tuple; its contract declares chance, rides. Return a "
            "mapping by name, {'chance': chance, 'rides': rides}. fix: correct the line, or",
        ),
        (
            "nothing",
            returned("None"),
            returned("{'rides': rides, 'chance': chance}"),
            PREDICTS,
            "forward of rides returned a NoneType; its contract declares chance, rides.",
        ),
        (
            "another name",
            returned('{"chance": chance, "ride": rides}'),
            returned('{**{"chance": chance}, "rides": rides}'),
            PREDICTS,
            "of the declared inputs; found ModelError at model.py:",
        ),
        (
            "two outputs of one unit exchanged",
            (*ALIKE, returned('{"chance": rides, "rides": chance}')),
            ALIKE,
            VALUES,
            "expected output 'chance' in (0.0, 1.0) and 'rides' in (2.0, 100.0) where inputs are "
            "typical; found the values of one in the other",
        ),
    ],
    "how it rolls up": [
        (
            "a count that is averaged where the others are summed",
            contract(RIDES, RIDES.replace("aggregation=SUM", 'aggregation={"hour": "sum"}')),
            contract(RIDES, RIDES.replace('"ride/h", aggregation=SUM', '"USD/h", aggregation={}')),
            ROLL_UPS,
            "expected output 'rides' in ride/h to be summed along 'region', as 'sessions' is",
        ),
        (
            "weighted by what is no count",
            contract(
                'BY_SESSIONS = {"region": Weighted("sessions")',
                'BY_SESSIONS = {"region": Weighted("price")',
            ),
            contract(
                'BY_SESSIONS = {"region": Weighted("sessions")',
                'BY_SESSIONS = {"region": Weighted("rides")',
            ),
            ROLL_UPS,
            "to be weighted along 'region' by what is added up there; found 'price'",
        ),
    ],
}
