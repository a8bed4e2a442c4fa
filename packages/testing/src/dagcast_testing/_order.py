"""Which tests of the suite say nothing once another has failed.

A value that is no number fails wherever it is compared: one line says so, and the rest is left out.
"""

from collections.abc import Collection

PREDICTS = "test_model_predicts"
LABELS = "test_output_labels_are_those_of_the_inputs"
DTYPE = "test_output_dtype_is_as_declared"
VALUES = "test_output_keeps_bounds_and_is_a_number"
UNCHANGED = "test_prediction_changes_nothing"
REPEATABLE = "test_prediction_is_repeatable"
BOUNDS = "test_inputs_at_their_bounds_give_finite_values_and_gradients"
STATE = "test_state_dict_round_trip"
CONSTRUCTIONS = "test_two_constructions_agree"
REGISTERED = "test_package_registers_the_model"
UNDECLARED = "test_reads_only_declared_quantities"
UNSEEN = "test_unseen_labels_are_pooled"
ORDER = "test_label_order_does_not_matter"
AHEAD = "test_never_reads_past_the_look_ahead"
BACK = "test_reads_back_no_further_than_its_memory"
HORIZONS = "test_short_horizons"
GRADIENTS = "test_declared_effects_have_gradients"
SIGNS = "test_effects_have_the_declared_sign_in_every_region"
DIFFERENCES = "test_gradients_equal_finite_differences"

# In order: each follows from those before it, and every other test from all of them.
_FIRST = (PREDICTS, LABELS, DTYPE, VALUES, UNCHANGED, REPEATABLE)
_FURTHER: dict[str, tuple[str, ...]] = {
    # It is run for either construction, and says the same of both.
    CONSTRUCTIONS: (CONSTRUCTIONS,),
    "test_two_processes_agree": (CONSTRUCTIONS, REGISTERED),
    "test_large_values_and_single_precision": (BOUNDS,),
    # What a class keeps for all models moves whatever is predicted after.
    UNDECLARED: (STATE,),
    ORDER: (UNSEEN, STATE),
    BACK: (AHEAD,),
    HORIZONS: (AHEAD, BACK),
    "test_other_windows": (AHEAD, BACK, HORIZONS),
    DIFFERENCES: (GRADIENTS, AHEAD),
    # What has no gradient is never learned: that is said once.
    "test_loss_terms_can_be_minimised": (GRADIENTS, DIFFERENCES),
    "test_every_path_is_declared": (GRADIENTS, SIGNS),
    # An hour that reads the next one is moved by it, with whatever sign.
    SIGNS: (GRADIENTS, DIFFERENCES, AHEAD),
    "test_warm_start_takes_data_as_it_comes": (STATE,),
}
# What needs no prediction.
_APART = ("test_contract_survives_json", REGISTERED)


def follows_from(test: str, failed: Collection[str]) -> str | None:
    """Return the failed test that explains whatever ``test`` would say, if there is one.

    Args:
        test: name of a test of the suite; of another, nothing is known.
        failed: names of those that failed on the same model.
    """
    first = _FIRST[: _FIRST.index(test)] if test in _FIRST else _FIRST
    if test in _APART:
        first = ()
    return next((name for name in (*first, *_FURTHER.get(test, ())) if name in failed), None)
