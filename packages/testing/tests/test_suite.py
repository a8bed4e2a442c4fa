"""Each test of the suite catches the mutation it is there for, and passes the harmless twin."""

import time

import numpy as np
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Effect, Input, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor
from dagcast_testing import Setting, _causal, _outputs, _purity, _reads, _starts, _windows

INCENTIVE = Dim("incentive")
REGION = Dim("region")

torch.set_num_threads(1)

SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0, None))
PRICE = Quantity("price", (REGION, HOUR), "USD", bounds=(0, 100), typical=(5, 20))
HOUR_OF_WEEK = Quantity("hour_of_week", (REGION, HOUR), "1", dtype="int64", bounds=(0, 167))
RAIN = Quantity("rain", (REGION, HOUR), "mm/h", bounds=(0, None))
SPEND = Quantity("spend", (INCENTIVE, REGION, HOUR), "USD/h", bounds=(0, None))
RIDES = Quantity("rides", (REGION, HOUR), "ride/h", bounds=(0, None))
REGIONS = ("north", "south", "west")

CONTRACT = Contract(
    "rides",
    inputs=(SESSIONS, PRICE, HOUR_OF_WEEK, Input(RAIN, required=False, default=0.0)),
    outputs=(RIDES,),
    effects=(
        Effect("sessions", "rides", "+"),
        Effect("price", "rides", "-"),
        Effect("hour_of_week", "rides", "?", differentiable=False),
        Effect("rain", "rides", "?"),
    ),
)


class Rides(Model):
    """rides = sessions * share[region] * night * exp(-price / scale + wet * rain)"""

    contract = CONTRACT

    def __init__(self) -> None:
        super().__init__()
        self.share = self.parameter(REGION, labels=REGIONS, start=0.6, transform="sigmoid")
        self.wet = self.parameter(REGION, labels=REGIONS, start=0.01)

    def forward(self, sessions, price, hour_of_week, rain):
        night = torch.where(hour_of_week.tensor % 24 < 6, 0.5, 1.0).double()
        return self.rides(sessions, price, rain, hour_of_week.with_tensor(night))

    def rides(self, sessions, price, rain, night):
        return sessions * self.share * night * (-price / 12.0 - self.wet * (rain * 0.01)).exp()


def setting(model=None, **fields):
    return Setting(model or Rides(), {"region": REGIONS}, **fields)


SEED_CHECKS = [
    _outputs.check_labels,
    _outputs.check_dtypes,
    _outputs.check_values,
    _outputs.check_at_bounds,
    _purity.check_no_mutation,
    _purity.check_determinism,
    _purity.check_state_dict,
    _reads.check_declared_reads,
    _reads.check_missing_inputs,
    _reads.check_label_order,
    _reads.check_look_ahead,
    _windows.check_horizons,
    _reads.check_unseen_labels,
    _causal.check_gradients_exist,
    _causal.check_gradient_values,
    _causal.check_undeclared_paths,
    _outputs.check_predicts,
    _outputs.check_large_values,
    _outputs.check_single_precision,
    _outputs.check_roll_ups,
    _reads.check_memory,
    _windows.check_windows,
    _starts.check_warm_start,
]


@pytest.mark.parametrize("check", SEED_CHECKS, ids=lambda check: check.__name__)
def test_honest_model_passes(check):
    check(setting(), 0)
    check(setting(), 1)


def test_honest_model_has_the_signs_it_claims():
    _causal.check_signs(setting(), range(4))


def mutant(change):
    """A model whose rides are what ``change`` makes of the honest ones."""

    class Mutant(Rides):
        def rides(self, sessions, price, rain, night):
            honest = Rides.rides(self, sessions, price, rain, night)
            return change(self, honest, sessions, price, rain)

    return Mutant()


def drop_a_region(model, rides, *_):
    return rides.sel(region=["north", "south"])


def reorder_regions(model, rides, *_):
    return rides.isel(region=[2, 1, 0])


def lose_precision(model, rides, *_):
    return rides.to(torch.float32)


def go_negative(model, rides, *_):
    return rides - 5.0


def go_missing(model, rides, *_):
    values = rides.tensor.clone()
    values[1, 3] = float("nan")
    return rides.with_tensor(values)


def divide_by_sessions(model, rides, sessions, *_):
    return rides / sessions


def take_a_root(model, rides, sessions, *_):
    return rides.with_tensor(sessions.tensor.sqrt() * rides.tensor / (1 + sessions.tensor))


def divide_by_what_is_left(model, rides, sessions, price, rain):
    return rides / (100.0 - price)


def change_inputs(model, rides, sessions, *_):
    with torch.no_grad():
        sessions.tensor[0, 0] += 1.0
    return rides


def draw_at_random(model, rides, *_):
    return rides * float(torch.rand(()))


def go_by_position(model, rides, *_):
    weights = torch.tensor([1.0, 2.0, 3.0][: rides.tensor.shape[0]]).double()
    weights = torch.cat([weights, weights.new_ones(rides.tensor.shape[0] - len(weights))])
    return rides.with_tensor(rides.tensor * weights[:, None])


def peek(model, rides, *_):
    return rides.with_tensor(rides.tensor + rides.tensor.roll(-1, dims=1))


def normalise_by_the_horizon(model, rides, *_):
    return rides.with_tensor(rides.tensor / (1 + rides.tensor.mean(dim=1, keepdim=True)))


def need_two_hours(model, rides, *_):
    return rides.with_tensor(
        rides.tensor + 0 * rides.tensor[:, :2].sum(1, keepdim=True).expand_as(rides.tensor)[:, 1:2]
    )


def cut_the_path(model, rides, sessions, price, rain):
    return Rides.rides(model, sessions.with_tensor(sessions.tensor.detach()), price, rain, 1.0)


def cut_half_the_path(model, rides, sessions, *_):
    return rides.with_tensor(0.5 * rides.tensor + 0.5 * rides.tensor.detach())


def turn_in_one_region(model, rides, sessions, price, rain):
    turned = torch.tensor([1.0, -1.0, 1.0]).double()[:, None]
    return rides.with_tensor(
        rides.tensor * 0 + sessions.tensor * (1.5 + turned * (0.05 * price.tensor).tanh())
    )


def die_in_one_region(model, rides, sessions, price, rain):
    alive = torch.tensor([1.0, 0.0, 1.0]).double()[:, None]
    return rides.with_tensor(sessions.tensor * (2.0 - alive * (0.05 * price.tensor).tanh()))


def come_late(model, rides, *_):
    late = torch.cat([rides.tensor[:, :1], rides.tensor[:, :-1]], 1)
    return rides.with_tensor(late)


def cut_one_cell(model, rides, *_):
    values = rides.tensor.clone()
    values[..., 7:8] = values[..., 7:8].detach()
    return rides.with_tensor(values)


def overflow(model, rides, sessions, *_):
    return rides.with_tensor(rides.tensor * (sessions.tensor * 0.01).exp())


def cancel_digits(model, rides, sessions, *_):
    return rides + ((sessions + 1e7) - 1e7).abs()


def count_steps(model, rides, *_):
    return rides.with_tensor(rides.tensor * (1.0 + torch.arange(rides.tensor.shape[1])))


def weigh_by_parity(model, rides, *_):
    # The same from both ends: reversing the labels would not show it.
    place = 1.0 + torch.arange(rides.tensor.shape[0]).double() % 2
    return rides.with_tensor(rides.tensor * place[:, None])


def peek_at_eight(model, rides, *_):
    values = rides.tensor
    later = torch.cat([values[:, 1:], values[:, -1:]], 1)
    eight = torch.tensor(rides.index("hour").hour.to_numpy() == 8)
    return rides.with_tensor(torch.where(eight, later, values))


def drop_the_unseen(model, rides, *_):
    return rides.sel(region=[r for r in rides.index("region") if r in REGIONS])


MUTANTS = [
    (come_late, _reads.check_memory, "found that at .*hour=2026-01-05 01:00.* it does, on hours"),
    (
        cut_one_cell,
        _causal.check_gradient_values,
        r"found 0 at \(region=north, hour=2026-01-05 07:00:00\+00:00\), the first such cell",
    ),
    (overflow, _outputs.check_large_values, "where 'sessions' is as large as"),
    (cancel_digits, _outputs.check_single_precision, "'rides' of inputs in float32 to equal"),
    (count_steps, _windows.check_windows, "'rides' not to depend on where a window begins"),
    (weigh_by_parity, _reads.check_label_order, "the labels of 'region' come in another order"),
    (peek_at_eight, _reads.check_look_ahead, "08:00:00.* changed from 2026-01-05 09:00:00"),
    (
        drop_the_unseen,
        _reads.check_unseen_labels,
        "to have the 4 labels of its inputs in their order; found missing unseen region",
    ),
    (
        drop_a_region,
        _outputs.check_labels,
        r"'rides' along 'region' to have the 3 labels .* missing west",
    ),
    (reorder_regions, _outputs.check_labels, "to have the 3 labels of its inputs in their order"),
    (lose_precision, _outputs.check_dtypes, "of dtype float64; found float32"),
    (
        go_negative,
        _outputs.check_values,
        r"'rides' in \(0.0, None\); found -.* at \(region=",
    ),
    (
        go_missing,
        _outputs.check_values,
        r"'rides'; found NaN at \(region=south, hour=2026-01-05 03:00",
    ),
    (divide_by_sessions, _outputs.check_at_bounds, "where 'sessions' is at its least value 0"),
    (take_a_root, _outputs.check_at_bounds, "expected finite gradients; found infinite"),
    (
        divide_by_what_is_left,
        _outputs.check_at_bounds,
        "where 'price' is at its greatest value 100",
    ),
    (change_inputs, _purity.check_no_mutation, "expected input 'sessions' unchanged"),
    (draw_at_random, _purity.check_determinism, "difference between two calls"),
    (go_by_position, _reads.check_label_order, "the labels of 'region' come in another order"),
    (peek, _reads.check_look_ahead, r"not to depend on 'sessions' more than 0 steps ahead"),
    (normalise_by_the_horizon, _reads.check_look_ahead, "not to depend on"),
    (cut_the_path, _causal.check_gradients_exist, "expected a gradient along the effect sessions"),
    (cut_half_the_path, _causal.check_gradient_values, "to equal the finite difference"),
]


@pytest.mark.parametrize(
    ("change", "check", "message"), MUTANTS, ids=[m[0].__name__ for m in MUTANTS]
)
def test_mutation_is_caught_and_explained(change, check, message):
    with pytest.raises(AssertionError, match=message) as caught:
        check(setting(mutant(change)), 0)
    assert str(caught.value).startswith("rides: ")


def test_turned_sign_names_the_region_it_turns_in():
    with pytest.raises(
        AssertionError,
        match=r"expected the effect price -> rides \(-\) .* found .* at \(region=north",
    ):
        _causal.check_signs(setting(mutant(turn_in_one_region)), range(2))


def test_effect_that_vanishes_in_one_region_names_it():
    with pytest.raises(
        AssertionError, match=r"price -> rides .*none at any draw or hour for region=south"
    ):
        _causal.check_signs(setting(mutant(die_in_one_region)), range(2))


def test_effect_may_vanish_in_some_hours():
    def saturate(model, rides, sessions, price, rain):
        return rides.with_tensor(sessions.tensor * (2.0 - (price.tensor.clamp(max=12.0) / 20)))

    _causal.check_signs(setting(mutant(saturate)), range(4))


def test_model_that_knows_its_regions_apart_may_treat_a_new_one_as_it_likes():
    class Known(Rides):
        def rides(self, sessions, price, rain, night):
            sizes = [
                dict(zip(REGIONS, (1.0, 2.0, 3.0), strict=True)).get(r, 1.5)
                for r in sessions.index("region")
            ]
            size = torch.tensor(sizes).double()[:, None]
            rides = Rides.rides(self, sessions, price, rain, night)
            return rides.with_tensor(rides.tensor * size)

    _reads.check_unseen_labels(setting(Known()), 0)


def test_parameter_whose_gradient_is_cut_is_named_with_its_label():
    def cut(model, rides, *_):
        wet = model.wet.at(rides).tensor
        return rides.with_tensor(rides.tensor * (1.0 + wet.detach() ** 2 - wet**2)[:, None])

    with pytest.raises(
        AssertionError,
        match=r"'rides' by the parameter 'wet' .*; found .* at \(region=north\), so a",
    ):
        _causal.check_gradient_values(setting(mutant(cut)), 0)


def test_state_that_earlier_predictions_leave_behind_is_caught():
    class Remembering(Rides):
        def __init__(self) -> None:
            super().__init__()
            self.first = None

        def rides(self, sessions, price, rain, night):
            if self.first is None:
                self.first = float(sessions.tensor.detach().mean())
            return Rides.rides(self, sessions, price, rain, night) / (1 + self.first)

    with pytest.raises(AssertionError, match="found that earlier predictions left something"):
        _purity.check_state_dict(setting(Remembering()), 0)


class Anchored(Rides):
    """Learns a level in its warm start."""

    def warm_start(self, history):
        self.keep(history["rides"].tensor.mean())

    def rides(self, *args):
        return Rides.rides(self, *args) * self.level


def test_warm_start_outside_the_state_dict_is_caught():
    class Loose(Anchored):
        level = 1.0

        def keep(self, level):
            self.level = float(level)

    with pytest.raises(AssertionError, match="found that warm_start left something outside"):
        _purity.check_state_dict(setting(Loose()), 0)


def test_warm_start_in_a_buffer_is_allowed():
    class Registered(Anchored):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("level", torch.tensor(1.0).double())

        def keep(self, level):
            self.level.copy_(level)

    _purity.check_state_dict(setting(Registered()), 0)


class Peeping(Rides):
    """Reads a quantity it does not declare, by going round `inputs_from`."""

    def predict(self, panel):
        result = super().predict(panel)
        if "undeclared_quantity" not in panel:
            return result
        return type(panel)({"rides": result["rides"] + panel["undeclared_quantity"].abs()})


def test_undeclared_read_is_caught():
    with pytest.raises(AssertionError, match="'rides' to depend on declared inputs only"):
        _reads.check_declared_reads(setting(Peeping()), 0)


class Tolerant(Rides):
    """Makes up a required input that is missing."""

    def predict(self, panel):
        if "price" not in panel:
            panel = type(panel)({**panel, "price": panel["sessions"].named("price")})
        return super().predict(panel)


def test_required_input_that_is_made_up_is_caught():
    with pytest.raises(
        AssertionError, match="names the required input 'price' when it is missing; found no error"
    ):
        _reads.check_missing_inputs(setting(Tolerant()), 0)


class OtherDefault(Rides):
    def rides(self, sessions, price, rain, night):
        return super().rides(sessions, price, rain if rain.dims else rain + 300.0, night)


def test_optional_input_that_does_not_act_as_its_default_is_caught():
    with pytest.raises(
        AssertionError, match=r"the optional input 'rain' to equal 'rides' with its default 0\.0"
    ):
        _reads.check_missing_inputs(setting(OtherDefault()), 0)


def contract(**changes):
    fields = {
        "inputs": CONTRACT.inputs,
        "outputs": CONTRACT.outputs,
        "effects": CONTRACT.effects,
        **changes,
    }
    return Contract("rides", **fields)


@pytest.mark.parametrize("name", ["sessions", "price", "hour_of_week", "rain"])
def test_path_without_an_effect_is_caught_whatever_its_type(name):
    class Silent(Rides):
        contract = Contract(
            "rides",
            inputs=CONTRACT.inputs,
            outputs=CONTRACT.outputs,
            effects=tuple(e for e in CONTRACT.effects if e.lever != name),
        )

    with pytest.raises(AssertionError, match=rf"expected an Effect\('{name}', 'rides'\)"):
        _causal.check_undeclared_paths(setting(Silent()), 0)


def test_path_hidden_by_a_start_of_zero_is_caught():
    class Hidden(Rides):
        contract = Contract(
            "rides",
            inputs=CONTRACT.inputs,
            outputs=CONTRACT.outputs,
            effects=tuple(e for e in CONTRACT.effects if e.lever != "rain"),
        )

        def __init__(self) -> None:
            super().__init__()
            self.wet = self.parameter(REGION, labels=REGIONS, start=0.0)

    with pytest.raises(AssertionError, match="'rain' moves 'rides'"):
        _causal.check_undeclared_paths(setting(Hidden()), 0)


def test_look_ahead_that_is_declared_is_allowed():
    class Planned(Rides):
        contract = contract(look_ahead=1)

        def rides(self, *args):
            honest = Rides.rides(self, *args)
            return peek(self, honest)

    _reads.check_look_ahead(setting(Planned()), 0)


def test_lagged_input_is_no_look_ahead():
    class Late(Rides):
        contract = contract(inputs=(Input(SESSIONS, lag=24), *CONTRACT.inputs[1:]))

    _reads.check_look_ahead(setting(Late(), hours=84), 0)


def test_horizon_of_one_hour_has_to_work():
    with pytest.raises(AssertionError, match="expected a prediction over a horizon of 1 steps"):
        _windows.check_horizons(setting(mutant(need_two_hours)), 0)


def test_empty_horizon_gives_an_empty_output():
    class Stubborn(Rides):
        def predict(self, panel):
            result = super().predict(panel)["rides"]
            if result.sizes["hour"]:
                return type(panel)({"rides": result})
            filled = setting().with_hours(1).panel(0)["sessions"].named("rides")
            return type(panel)({"rides": filled})

    with pytest.raises(
        AssertionError, match="expected 0 steps of 'rides' over a horizon of 0; found 1"
    ):
        _windows.check_horizons(setting(Stubborn()), 0)


def test_unseen_region_has_to_be_pooled():
    class Closed(Rides):
        def __init__(self) -> None:
            super().__init__()
            self.share = self.parameter(
                REGION, labels=REGIONS, start=0.6, transform="sigmoid", pool=False
            )

    with pytest.raises(
        AssertionError,
        match="expected the unseen label 'unseen region' of 'region' to get the pooled",
    ):
        _reads.check_unseen_labels(setting(Closed()), 0)


def test_unseen_region_changes_nothing_for_the_others():
    def share_out(model, rides, *_):
        return rides.with_tensor(rides.tensor / (1 + rides.tensor.sum(dim=0, keepdim=True)))

    with pytest.raises(AssertionError, match="to be the same beside an unseen one"):
        _reads.check_unseen_labels(setting(mutant(share_out)), 0)


def test_draws_keep_to_typical_ranges_and_bounds():
    panel = setting().panel(3)
    assert float(panel["price"].tensor.min()) >= 5
    assert float(panel["price"].tensor.max()) <= 20
    assert float(panel["sessions"].tensor.min()) >= 0
    steps = panel["hour_of_week"].tensor.diff(dim=1) % 168
    assert bool((steps == 1).all())
    again = setting().panel(3)
    assert all(torch.equal(panel[name].tensor, again[name].tensor) for name in panel)


def test_ranges_of_the_test_win_over_the_contract():
    panel = setting(ranges={"price": (1.0, 2.0)}).panel(0)
    assert float(panel["price"].tensor.max()) <= 2


def test_lever_with_labels_of_its_own_is_drawn_over_them():
    spend = setting().draw(SPEND, np.random.default_rng(0))
    assert isinstance(spend, IndexTensor)
    assert spend.dims == ("incentive", "region", "hour")


def test_declared_memory_allows_to_read_back():
    class Carried(Rides):
        memory = 1

        def rides(self, *args):
            honest = Rides.rides(self, *args)
            return come_late(self, honest)

    _reads.check_memory(setting(Carried()), 0)


def test_output_that_is_late_is_caught_beside_a_lagged_input():
    late = {"inputs": (CONTRACT.inputs[0], Input(PRICE, lag=24), *CONTRACT.inputs[2:])}

    class Late(Rides):
        contract = contract(**late)

        def rides(self, *args):
            return come_late(self, Rides.rides(self, *args))

    class Honest(Rides):
        contract = contract(**late)

    _reads.check_memory(setting(Honest()), 0)
    with pytest.raises(AssertionError, match="more than 0 steps back, beside declared lags"):
        _reads.check_memory(setting(Late()), 0)


KEPT: dict[str, float] = {}


def test_state_kept_in_a_module_is_caught():
    class Global(Rides):
        def warm_start(self, history):
            KEPT["level"] = float(history["sessions"].tensor.mean())

        def rides(self, *args):
            return Rides.rides(self, *args) * KEPT.get("level", 1.0)

    with pytest.raises(AssertionError, match="'rides' of one model to stay as it was when another"):
        _purity.check_state_dict(setting(Global()), 0)


def test_share_that_is_summed_is_caught_and_averaged_is_not():
    shares = {"sum": {"region": "sum"}, "mean": {}}
    for how, aggregation in shares.items():
        share = Quantity("rides", (REGION, HOUR), "1", aggregation=aggregation, bounds=(0, 1))

        class Share(Rides):
            contract = Contract(
                "share", inputs=CONTRACT.inputs, outputs=(share,), effects=CONTRACT.effects
            )

            def rides(self, *args):
                return Rides.rides(self, *args).sigmoid()

        if how == "sum":
            with pytest.raises(
                AssertionError, match=r"rolled up along 'region' \(sum\). fix: declare"
            ):
                _outputs.check_roll_ups(setting(Share()), 0)
        else:
            _outputs.check_roll_ups(setting(Share()), 0)


def test_rate_per_ride_is_not_to_be_summed():
    fare = Quantity("rides", (REGION, HOUR), "USD/ride", aggregation={"hour": "sum"})

    class Fares(Rides):
        contract = Contract("fares", inputs=CONTRACT.inputs, outputs=(fare,), effects=())

    with pytest.raises(AssertionError, match=r"'rides' in USD/ride to be averaged along 'hour'"):
        _outputs.check_roll_ups(setting(Fares()), 0)


def test_two_constructions_that_differ_are_caught():
    class Random(Rides):
        def __init__(self) -> None:
            super().__init__()
            self.wet = self.parameter(start=float(torch.rand(())))

    _purity.check_constructions(setting(), Rides())
    with pytest.raises(AssertionError, match=r"'wet\.raw' to start the same in every construction"):
        _purity.check_constructions(setting(Random()), Random())


def test_history_holds_what_the_source_mentions():
    class Booked(Rides):
        def warm_start(self, history):
            if "bookings_of_others" in history:
                self.level = float(history["bookings_of_others"].tensor.mean())

        def rides(self, *args):
            return Rides.rides(self, *args) * getattr(self, "level", 1.0)

    with pytest.raises(AssertionError, match="found that warm_start left something outside"):
        _purity.check_state_dict(setting(Booked()), 0)


def test_clock_that_changes_nothing_between_two_calls_is_read_off_the_source():
    class Clocked(Rides):
        def rides(self, *args):
            return Rides.rides(self, *args) * (1.0 if time.time() > 0 else 2.0)

    with pytest.raises(AssertionError, match=r"test_suite\.py:\d+ reads the clock, time\.time\(\)"):
        _purity.check_determinism(setting(Clocked()), 0)
