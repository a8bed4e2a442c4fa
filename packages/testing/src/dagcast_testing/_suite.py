"""The tests that every model passes; a team subclasses them and supplies a model."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from dagcast_core.contract import Contract
from dagcast_core.model import Model
from dagcast_testing import (
    _causal,
    _losses,
    _outputs,
    _purity,
    _reads,
    _registered,
    _starts,
    _windows,
)
from dagcast_testing._guard import check_overrides
from dagcast_testing._installed import installed_for
from dagcast_testing._order import follows_from
from dagcast_testing._problems import first_line, place_of
from dagcast_testing._setting import Labels, Ranges, Setting, labels_of
from dagcast_testing._source import settings


class ModelContract:
    """The model contract, as tests.

    A subclass supplies the fixture ``model``; deleting a test, or replacing one without
    ``@explained``, is refused where the class is defined.

    Attributes:
        draws: number of random inputs at which values and signs are checked.
        hours: steps of the time dim, at least; more where the model reads far.

    Example:
        >>> class TestStretchContract(ModelContract):
        ...     @pytest.fixture
        ...     def model(self) -> Model:
        ...         return PickupStretch(regions=("SFO", "LAX"))
    """

    draws: ClassVar[int] = 8
    hours: ClassVar[int] = 60
    # The plugin of this package knows the suite by it, without importing torch.
    dagcast_model_contract: ClassVar[bool] = True
    _settings: ClassVar[dict[str, Setting]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass that drops inherited tests."""
        super().__init_subclass__(**kwargs)
        check_overrides(cls, ModelContract)
        cls._settings = {}

    @pytest.fixture
    def model(self) -> Model:
        """Return the model under test, unfitted or fitted. Every subclass supplies it."""
        raise pytest.UsageError(
            f"{type(self).__name__} has no model: define a fixture `model` that returns one"
        )

    @pytest.fixture
    def labels(self, model: Model) -> Labels:
        """Labels by dim that the model is tried on; by default those of its parameters."""
        return labels_of(model)

    @pytest.fixture
    def ranges(self) -> Ranges:
        """Ordinary values by quantity; by default the contract's typical ranges and bounds."""
        return {}

    @pytest.fixture
    def setting(
        self, request: pytest.FixtureRequest, model: Model, labels: Labels, ranges: Ranges
    ) -> Setting:
        """Put model and inputs together: the first model built serves all tests of the class."""
        parameters = getattr(request.node, "callspec", None)
        key = str(parameters.params.get("model", "")) if parameters is not None else ""
        if key not in self._settings:
            self._settings[key] = setting_of(model, labels, self.hours, ranges)
        return self._settings[key]

    def test_contract_survives_json(self, model: Model) -> None:
        """The contract can be committed as a snapshot and read back."""
        assert Contract.from_json(model.contract.to_json()) == model.contract

    def test_model_predicts(self, setting: Setting) -> None:
        """From the quantities that it declares."""
        _outputs.check_predicts(setting, seed=0)

    def test_output_labels_are_those_of_the_inputs(self, setting: Setting) -> None:
        """No label is lost, added or moved."""
        _outputs.check_labels(setting, seed=0)
        _outputs.check_labels(setting.moved, seed=0)

    def test_output_dtype_is_as_declared(self, setting: Setting) -> None:
        """Real values are float64 from end to end."""
        _outputs.check_dtypes(setting, seed=0)

    def test_output_keeps_bounds_and_is_a_number(self, setting: Setting) -> None:
        """At many random points, with parameters as they start and moved."""
        for seed in range(self.draws):
            _outputs.check_values(setting, seed)
        _outputs.check_values(setting.moved, 0)

    def test_prediction_changes_nothing(self, setting: Setting) -> None:
        """Neither inputs nor parameters."""
        _purity.check_no_mutation(setting.moved, seed=0)

    def test_prediction_is_repeatable(self, setting: Setting) -> None:
        """Whatever the global random state, the clock, the environment and calls before."""
        _purity.check_determinism(setting.moved, seed=0)
        _purity.check_nothing_is_kept(setting.moved, seed=0)

    @pytest.mark.parametrize("construction", ["first", "second"])
    def test_two_constructions_agree(
        self, model: Model, setting: Setting, construction: str
    ) -> None:
        """Bit for bit, in what they start with and in what they predict.

        The first time alone there may be nothing to compare with yet.
        """
        _purity.check_hyperparameters(setting)
        _purity.check_constructions(setting, model)

    def test_package_registers_the_model(self, model: Model) -> None:
        """Where the model's package is installed: its contract, for any labels, without torch."""
        _registered.check_registered(model)
        installed = installed_for(model.contract)
        if installed is not None:
            # A process costs as much as all other tests: only now is it known to be needed.
            from dagcast_testing._twin import check_declares_lightly

            check_declares_lightly(installed)

    def test_two_processes_agree(self, model: Model) -> None:
        """Bit for bit, where the model is registered, so that another process can build it."""
        installed = installed_for(model.contract)
        if installed is None:
            pytest.skip(f"no installed package registers {model.contract.model!r}")
        from dagcast_testing._twin import check_processes

        check_processes(installed)

    def test_inputs_at_their_bounds_give_finite_values_and_gradients(
        self, setting: Setting
    ) -> None:
        """Night hours hold zeros, and a share may be 1."""
        _outputs.check_at_bounds(setting, seed=0)
        _outputs.check_at_bounds(setting.moved, seed=0)

    def test_large_values_and_single_precision(self, setting: Setting) -> None:
        """Within the declared bounds, a value may be of any size, and a file may round it."""
        _outputs.check_large_values(setting, seed=0)
        _outputs.check_single_precision(setting.moved, seed=0)

    def test_outputs_roll_up_as_declared(self, setting: Setting) -> None:
        """Aggregation, unit and bounds say the same."""
        _outputs.check_roll_ups(setting.moved, seed=0)

    def test_state_dict_round_trip(self, setting: Setting) -> None:
        """Everything learned is in the state dict, also what a warm start learned."""
        _purity.check_state_dict(setting, seed=0)

    def test_warm_start_takes_data_as_it_comes(self, setting: Setting) -> None:
        """Labels in any order, gaps, and nothing changed or drawn at random."""
        _starts.check_warm_start(setting, seed=0)

    def test_reads_only_declared_quantities(self, setting: Setting) -> None:
        """Other quantities beside them make no difference."""
        _reads.check_declared_reads(setting.moved, seed=0)

    def test_missing_inputs_are_refused_or_defaulted(self, setting: Setting) -> None:
        """As the contract says."""
        _reads.check_missing_inputs(setting.moved, seed=0)

    def test_unseen_labels_are_pooled(self, setting: Setting) -> None:
        """A region that opens tomorrow has a forecast."""
        _reads.check_unseen_labels(setting.moved, seed=0)

    def test_label_order_does_not_matter(self, setting: Setting) -> None:
        """Values belong to labels, not to positions."""
        _reads.check_label_order(setting.moved, seed=0)

    def test_never_reads_past_the_look_ahead(self, setting: Setting) -> None:
        """The future is perturbed from every hour on, and the past must not move."""
        _reads.check_look_ahead(setting.moved, seed=0)

    def test_reads_back_no_further_than_its_memory(self, setting: Setting) -> None:
        """An output a step late reads a step too far back."""
        _reads.check_memory(setting.moved, seed=0)

    def test_short_horizons(self, setting: Setting) -> None:
        """One hour, and none."""
        _windows.check_horizons(setting.moved, seed=0)

    def test_other_windows(self, setting: Setting) -> None:
        """A change of the clocks, a year's end, a leap day, another start, any day of a year."""
        _windows.check_windows(setting.moved, seed=0)
        _windows.check_year(setting.moved, seed=0)

    def test_declared_effects_have_gradients(self, setting: Setting) -> None:
        """Plans are made through them."""
        _causal.check_gradients_exist(setting.moved, seed=0)

    def test_gradients_equal_finite_differences(self, setting: Setting) -> None:
        """In every cell."""
        for seed in range(2):
            _causal.check_gradient_values(setting, seed)

    def test_loss_terms_can_be_minimised(self, setting: Setting) -> None:
        """They are the same every time, finite, and on what is the model's own."""
        _losses.check_loss_terms(setting.moved, seed=0)

    def test_effects_have_the_declared_sign_in_every_region(self, setting: Setting) -> None:
        """At many random points."""
        _causal.check_signs(setting, range(self.draws))

    def test_every_path_is_declared(self, setting: Setting) -> None:
        """What moves an output is claimed as an effect on it, and what is declared moves one."""
        _causal.check_undeclared_paths(setting, seed=0)
        _losses.check_used(setting.moved, seed=0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one test of the suite said of a model.

    Attributes:
        test: its name.
        outcome: ``skipped`` where it follows from another's failure, or does not apply.
        text: one line: what failed and what to do, or what it follows from.
    """

    test: str
    outcome: Literal["passed", "failed", "skipped"]
    text: str = ""


def examine(
    build: Callable[[], Model],
    *,
    labels: Labels | None = None,
    ranges: Ranges | None = None,
) -> tuple[Finding, ...]:
    """Run the suite on a model without pytest, e.g. in a notebook.

    Args:
        build: makes the model; it is called twice, because two constructions have to agree.
        labels: by dim; default those of the model's parameters.
        ranges: ordinary values by quantity; default the contract's.

    Returns:
        One finding per test, in their order; a model that cannot be built is the only one.

    Example:
        >>> [f.text for f in examine(lambda: PickupStretch(("SFO",))) if f.outcome == "failed"]
        []
    """
    try:
        model, again = build(), build()
    # A model can fail in any way while it is built; that is what is to be reported.
    except Exception as error:
        return (Finding("model", "failed", _said(error)),)
    setting = setting_of(model, labels or labels_of(model), ModelContract.hours, ranges or {})
    given: Mapping[str, Any] = {"model": again, "setting": setting, "construction": "second"}
    suite = ModelContract()
    findings: list[Finding] = []
    failed: list[str] = []
    for name, test in vars(ModelContract).items():
        if not name.startswith("test_"):
            continue
        cause = follows_from(name, failed)
        if cause is not None:
            findings.append(Finding(name, "skipped", f"follows from {cause}"))
            continue
        wanted = [p for p in inspect.signature(test).parameters if p != "self"]
        try:
            test(suite, **{p: given[p] for p in wanted})
        except pytest.skip.Exception as reason:
            findings.append(Finding(name, "skipped", str(reason)))
        except Exception as error:
            failed.append(name)
            findings.append(Finding(name, "failed", _said(error)))
        else:
            findings.append(Finding(name, "passed"))
    return tuple(findings)


def setting_of(model: Model, labels: Labels, hours: int, ranges: Ranges) -> Setting:
    """Put model and inputs together, with room for however far the model reads."""
    made = Setting(model, labels, hours, ranges)
    made = made.with_hours(max(hours, 3 * made.reach + 12))
    made.kept["fresh"] = copy.deepcopy(model)
    made.kept["settings"] = settings()
    return made


def _said(error: Exception) -> str:
    if isinstance(error, AssertionError):
        return first_line(str(error))
    return f"{type(error).__name__}: {first_line(str(error))}{place_of(error)}"
