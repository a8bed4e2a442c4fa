"""Further kinds of what somebody gets wrong: behind parameters, in loss terms, between calls."""

from _cases import (
    AHEAD,
    BACK,
    REPEATABLE,
    UNSEEN,
    after_rides,
    after_start,
    model,
)

LOSSES = "test_loss_terms_can_be_minimised"
WINDOWS = "test_other_windows"
ZERO = after_start("self.zero = self.parameter(start=0.0)")
WARM = "    def warm_start("
TERMS = "SquaredError('rides', weights='sessions'), PartialPooling(self.cost, 'region', 0.3)"


def behind_zero(lines):
    """A change that adds ``lines`` times a parameter that starts at 0."""
    return (ZERO, after_rides(lines))


def terms(listed, before=""):
    """A change that gives the model loss terms."""
    lines = f"    def loss_terms(self):\n{before}        return ({listed},)\n\n"
    return model(WARM, lines + WARM)


SIZES = after_start(
    'self.register_buffer("size", torch.ones(len(tuple(regions)), dtype=torch.float64))'
)


def sized(found):
    """A change that weighs rides by a buffer over the regions, taken at ``found``."""
    return (
        SIZES,
        after_rides(
            "own, these = self.cost.indexes['region'], rides.index('region')\n"
            f"found = {found}\n"
            "size = torch.cat([self.size, self.size.mean(dim=0, keepdim=True)])[found]\n"
            "rides = rides * IndexTensor(size, {'region': these})"
        ),
    )


FURTHER = {
    "buffers that a history fills": [
        (
            "a buffer by position",
            sized("torch.arange(len(these)) % len(own)"),
            sized("torch.as_tensor(own.get_indexer(these))"),
            "test_label_order_does_not_matter",
            "expected 'rides' by label to be the same when the labels of 'region' come in another",
        ),
    ],
    "the process left as it was": [
        (
            "numpy told how to work",
            after_rides("np.seterr(all='ignore')"),
            after_rides("with np.errstate(all='ignore'):\n    np.log(0.0)"),
            REPEATABLE,
            "found that it changes numpy's answer to errors",
        ),
        (
            "another current folder",
            after_rides("os.chdir(os.sep)"),
            after_rides("os.chdir(os.getcwd())"),
            REPEATABLE,
            "found that it changes the current folder",
        ),
        (
            "the environment written",
            after_rides("os.environ['DAGCAST_OF_RIDES'] = '1'"),
            after_rides("dict(DAGCAST_OF_RIDES='1')"),
            REPEATABLE,
            "found that it changes the environment",
        ),
    ],
    "labels of time": [
        (
            "hours on another clock",
            after_rides(
                "rides = rides.relabel(hour=rides.index('hour').tz_convert('Europe/Berlin'))"
            ),
            after_rides("rides = rides.relabel(hour=rides.index('hour').tz_convert('UTC'))"),
            "test_output_labels_are_those_of_the_inputs",
            "Europe/Berlin] where the inputs have datetime64",
        ),
        (
            "an hour that no clock showed",
            after_rides(
                "sessions.index('hour').tz_localize(None).tz_localize('Europe/Berlin', "
                "ambiguous='NaT')"
            ),
            after_rides(
                "sessions.index('hour').tz_localize(None).tz_localize('Europe/Berlin', "
                "ambiguous='NaT', nonexistent='NaT')"
            ),
            WINDOWS,
            "at model.py:",
        ),
    ],
    "behind a parameter that starts at 0": [
        (
            "looks ahead",
            behind_zero(
                "ahead = torch.cat([rides.tensor[:, 1:], rides.tensor[:, -1:]], 1)\n"
                "rides = rides + self.zero.value() * rides.with_tensor(ahead)"
            ),
            behind_zero("rides = rides + self.zero.value() * rides.with_tensor(rides.tensor)"),
            AHEAD,
            "expected 'rides' not to depend on 'sessions' more than 0 steps ahead",
        ),
        (
            "remembers",
            behind_zero(
                "late = torch.cat([rides.tensor[:, :1], rides.tensor[:, :-1]], 1)\n"
                "rides = rides + self.zero.value() * rides.with_tensor(late)"
            ),
            behind_zero("rides = rides + self.zero.value() * rides.tanh()"),
            BACK,
            "expected 'rides' not to depend on inputs more than 0 steps back",
        ),
        (
            "measured by the other regions",
            behind_zero("rides = rides + self.zero.value() * rides.mean('region')"),
            behind_zero("rides = rides + self.zero.value() * rides"),
            UNSEEN,
            "expected 'rides' of known labels of 'region' to be the same beside an unseen one",
        ),
        (
            "nothing for a new region",
            behind_zero(
                "known = [r in self.cost.indexes['region'] for r in rides.index('region')]\n"
                "extra = rides.with_tensor(rides.tensor * torch.tensor(known)[:, None])\n"
                "rides = rides + self.zero.value() * extra"
            ),
            behind_zero(
                "every = torch.tensor([True for r in rides.index('region')])\n"
                "extra = rides.with_tensor(rides.tensor * every[:, None])\n"
                "rides = rides + self.zero.value() * extra"
            ),
            UNSEEN,
            "expected 'rides' of the unseen label 'unseen region' to be that of the known ones",
        ),
        (
            "a position in the window",
            behind_zero(
                "step = torch.arange(rides.tensor.shape[1]).double()\n"
                "rides = rides + self.zero.value() * rides.with_tensor(0.01 * step * rides.tensor)"
            ),
            behind_zero(
                "day = torch.tensor([float(label.day) for label in sessions.index('hour')])\n"
                "rides = rides + self.zero.value() * rides.with_tensor(0.01 * day * rides.tensor)"
            ),
            WINDOWS,
            "expected 'rides' not to depend on where a window begins",
        ),
        (
            "at random",
            behind_zero("rides = rides * (1.0 + self.zero.value() * float(torch.rand(())))"),
            behind_zero("rides = rides * (1.0 + self.zero.value() * float(torch.ones(())))"),
            REPEATABLE,
            "expected the same 'rides' from the same inputs",
        ),
        (
            "labels that start alike taken by position",
            after_rides(
                "known = [r for r in rides.index('region') if r in self.cost.indexes['region']]\n"
                "costs = self.cost.value().tensor\n"
                "mine = torch.cat([costs, costs.mean()[None]])[:len(rides.index('region'))]\n"
                "rides = rides.with_tensor(rides.tensor * (1.0 + mine[:, None]))"
            ),
            after_rides("rides = rides * (1.0 + self.cost.at(rides))"),
            UNSEEN,
            "of the unseen label 'unseen region' of 'region' to be the same by itself",
        ),
    ],
    "loss terms": [
        (
            "a parameter of another name",
            terms("Ridge(self.wett, toward=0.0)"),
            terms("Ridge(self.wet, toward=0.0)"),
            LOSSES,
            "found AttributeError at model.py:",
        ),
        (
            "an unknown quantity",
            terms("SquaredError('ride')"),
            terms("SquaredError('rides')"),
            LOSSES,
            "to compare an output of the model (chance, rides); found 'ride', nearest is 'rides'",
        ),
        (
            "an input compared",
            terms("SquaredError('sessions')"),
            terms("SquaredError('chance')"),
            LOSSES,
            "expected SquaredError('sessions') to compare an output of the model",
        ),
        (
            "a negative weight",
            terms("Ridge(self.wet, toward=0.0, weight=-1.0)"),
            terms("Ridge(self.wet, toward=-1.0, weight=0.0)"),
            LOSSES,
            "weight of Ridge('wet') is -1.0; expected 0 or more. fix",
        ),
        (
            "a prior at random",
            terms("Ridge(self.wet, toward=float(torch.rand(())))"),
            terms("Ridge(self.wet, toward=float(torch.ones(())))"),
            LOSSES,
            "expected the same loss terms every time; found Ridge('wet') with other values",
        ),
        (
            "a prior on somebody else's parameter",
            terms("Ridge(type(self)(('a', 'b', 'c')).cost)"),
            terms("Ridge(self.cost)"),
            LOSSES,
            "found one that is none of its own, so a fit would not move it",
        ),
        (
            "a prior that counts each value three times",
            terms("Ridge(self.cost, toward=torch.full((3, 1), 0.1))"),
            terms("Ridge(self.cost, toward=torch.full((3,), 0.1))"),
            LOSSES,
            "expected Ridge('cost') to hold each of the 3 values once",
        ),
        (
            "a prior out of the parameter's range",
            terms("Ridge(self.cost, toward=-1.0, unconstrained=True)"),
            terms("Ridge(self.cost, toward=-1.0)"),
            LOSSES,
            "expected Ridge('cost') to be finite; found nan",
        ),
        (
            "reaches through an output",
            terms("SquaredError('rides', through=('chance',))"),
            terms("SquaredError('rides', through=('sessions',))"),
            LOSSES,
            "to reach through inputs of the model (sessions, price, hour_of_week, rain); found",
        ),
        (
            "weights misspelt",
            terms("SquaredError('rides', weights='sesions')"),
            terms("SquaredError('rides', weights=lambda history: history['sessions'])"),
            LOSSES,
            "found 'sesions', nearest is 'sessions'. fix: write that one",
        ),
        (
            "a likelihood turned round",
            (
                terms("Away('rides')"),
                model(
                    "@final\nclass Rides",
                    "class Away(FitnessTerm):\n"
                    "    def nats(self, predicted, target):\n"
                    "        return -((predicted - target.actual) ** 2).sum()\n\n"
                    "    information = nats\n\n\n@final\nclass Rides",
                ),
            ),
            (
                terms("Away('rides')"),
                model(
                    "@final\nclass Rides",
                    "class Away(FitnessTerm):\n"
                    "    def nats(self, predicted, target):\n"
                    "        return ((predicted - target.actual) ** 2).sum()\n\n"
                    "    information = nats\n\n\n@final\nclass Rides",
                ),
            ),
            LOSSES,
            "expected Away('rides') to be least where the prediction is what happened",
        ),
        (
            "no term at all",
            terms("self.wet.raw ** 2"),
            terms(TERMS),
            LOSSES,
            "to return a tuple of terms that a fit knows; found Tensor",
        ),
        (
            "starts a parameter",
            terms("Ridge(self.wet)", "        self.wet.assign(0.5)\n"),
            terms("Ridge(self.wet)", "        self.wet.value()\n"),
            LOSSES,
            "expected loss_terms to leave 'wet.raw' as it was",
        ),
    ],
    "from the inputs alone": [
        (
            "a cache of the first prediction",
            (
                after_start("self.cache = None"),
                after_rides(
                    "if self.cache is None:\n    self.cache = (chance, rides)\n"
                    "chance, rides = self.cache"
                ),
            ),
            (
                after_start("self.cache = None"),
                after_rides("self.cache = tuple(sessions.index('region'))"),
            ),
            REPEATABLE,
            "expected 'chance' to follow from the inputs alone; found that it depends on an "
            "earlier prediction",
        ),
        (
            "a cache by identity",
            (
                after_start("self.cache = {}"),
                after_rides("rides = self.cache.setdefault(id(sessions), rides)"),
            ),
            (
                after_start("self.cache = {}"),
                after_rides("self.cache.setdefault(len(sessions.index('region')), 1.0)"),
            ),
            REPEATABLE,
            "expected 'rides' to follow from the inputs alone",
        ),
        (
            "a cache outside the model",
            (
                model("@final\nclass Rides", "CACHE = {}\n\n\n@final\nclass Rides"),
                after_rides("chance, rides = CACHE.setdefault('last', (chance, rides))"),
            ),
            (
                model("@final\nclass Rides", "CACHE = {}\n\n\n@final\nclass Rides"),
                after_rides("CACHE.setdefault('last', 'rides')"),
            ),
            REPEATABLE,
            "expected other outputs of other inputs; found the same bits",
        ),
        (
            "the environment read",
            after_rides("rides = rides * (2.0 if os.environ.get('DAGCAST_NO_SUCH') else 1.0)"),
            after_rides("rides = rides * (2.0 if os.path.sep in 'environ' else 1.0)"),
            REPEATABLE,
            "reads 'DAGCAST_NO_SUCH' from the environment",
        ),
        (
            "the mode looked at",
            after_rides("rides = rides * (1.0 if self.training else 1.1)"),
            after_rides("rides = rides * (1.0 if self.training else 1.0)"),
            REPEATABLE,
            "expected the same 'rides' however the model is run; found another under evaluation",
        ),
        (
            "the gradient mode looked at",
            after_rides("rides = rides * (1.0 if torch.is_grad_enabled() else 1.1)"),
            after_rides("rides = rides * (1.0 if torch.is_grad_enabled() else 1.0)"),
            REPEATABLE,
            "found another under torch.no_grad()",
        ),
    ],
}
