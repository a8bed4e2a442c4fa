"""The tests that every model passes; a team subclasses them and supplies a model."""

from typing import Any, ClassVar

import pytest

from dagcast_core.contract import Contract
from dagcast_core.model import Model
from dagcast_testing import _causal, _outputs, _reads
from dagcast_testing._guard import check_overrides
from dagcast_testing._setting import Labels, Ranges, Setting, labels_of


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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass that drops inherited tests."""
        super().__init_subclass__(**kwargs)
        check_overrides(cls, ModelContract)

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
    def setting(self, model: Model, labels: Labels, ranges: Ranges) -> Setting:
        """Put model and inputs together."""
        made = Setting(model, labels, self.hours, ranges)
        # Room before and after every cut, however far the model reads.
        return made.with_hours(max(self.hours, 3 * made.reach + 12))

    def test_contract_survives_json(self, model: Model) -> None:
        """The contract can be committed as a snapshot and read back."""
        assert Contract.from_json(model.contract.to_json()) == model.contract

    def test_output_labels_are_those_of_the_inputs(self, setting: Setting) -> None:
        """No label is lost, added or moved."""
        _outputs.check_labels(setting, seed=0)

    def test_output_dtype_is_as_declared(self, setting: Setting) -> None:
        """Real values are float64 from end to end."""
        _outputs.check_dtypes(setting, seed=0)

    def test_output_keeps_bounds_and_is_a_number(self, setting: Setting) -> None:
        """At many random points."""
        for seed in range(self.draws):
            _outputs.check_values(setting, seed)

    def test_inputs_at_their_bounds_give_finite_values_and_gradients(
        self, setting: Setting
    ) -> None:
        """Night hours hold zeros, and a share may be 1."""
        _outputs.check_at_bounds(setting, seed=0)

    def test_prediction_changes_nothing(self, setting: Setting) -> None:
        """Neither inputs nor parameters."""
        _outputs.check_no_mutation(setting, seed=0)

    def test_prediction_is_repeatable(self, setting: Setting) -> None:
        """Whatever the global random state."""
        _outputs.check_determinism(setting, seed=0)

    def test_state_dict_round_trip(self, setting: Setting) -> None:
        """Everything learned is in the state dict, also what a warm start learned."""
        _outputs.check_state_dict(setting, seed=0)

    def test_reads_only_declared_quantities(self, setting: Setting) -> None:
        """Other quantities beside them make no difference."""
        _reads.check_declared_reads(setting, seed=0)

    def test_missing_inputs_are_refused_or_defaulted(self, setting: Setting) -> None:
        """As the contract says."""
        _reads.check_missing_inputs(setting, seed=0)

    def test_label_order_does_not_matter(self, setting: Setting) -> None:
        """Values belong to labels, not to positions."""
        _reads.check_label_order(setting, seed=0)

    def test_never_reads_past_the_look_ahead(self, setting: Setting) -> None:
        """The future is perturbed and the past must not move."""
        for seed in range(2):
            _reads.check_look_ahead(setting, seed)

    def test_short_horizons(self, setting: Setting) -> None:
        """One hour, and none."""
        _reads.check_horizons(setting, seed=0)

    def test_unseen_labels_are_pooled(self, setting: Setting) -> None:
        """A region that opens tomorrow has a forecast."""
        _reads.check_unseen_labels(setting, seed=0)

    def test_declared_effects_have_gradients(self, setting: Setting) -> None:
        """Plans are made through them."""
        _causal.check_gradients_exist(setting, seed=0)

    def test_gradients_equal_finite_differences(self, setting: Setting) -> None:
        """At random cells."""
        for seed in range(2):
            _causal.check_gradient_values(setting, seed)

    def test_effects_have_the_declared_sign_in_every_region(self, setting: Setting) -> None:
        """At many random points."""
        _causal.check_signs(setting, range(self.draws))

    def test_every_path_is_declared(self, setting: Setting) -> None:
        """What moves an output is claimed as an effect on it."""
        _causal.check_undeclared_paths(setting, seed=0)
