"""Inherited tests can be explained, never dropped."""

import pytest

from dagcast_testing import ModelContract, SuiteError, explained

pytest_plugins = ["pytester"]

NAME = "test_never_reads_past_the_look_ahead"


def test_deleting_an_inherited_test_is_refused_with_the_reason():
    with pytest.raises(SuiteError, match=rf"deletes the inherited test '{NAME}' of ModelContract"):
        type("TestLess", (ModelContract,), {NAME: None})


def test_replacing_an_inherited_test_needs_a_reason():
    def replacement(self):
        pass

    with pytest.raises(SuiteError, match=rf"replaces the inherited test '{NAME}' .* without a"):
        type("TestOther", (ModelContract,), {NAME: replacement})
    reason = explained("The model is a smoother, which reads the whole window.")
    type("TestOther", (ModelContract,), {NAME: reason(replacement)})


@pytest.mark.parametrize("reason", ["", "   ", "because", None])
def test_reason_has_to_be_one(reason):
    with pytest.raises(SuiteError, match="expected a sentence"):
        explained(reason)


def test_subclass_of_a_subclass_is_guarded_too():
    middle = type("TestMiddle", (ModelContract,), {})
    with pytest.raises(SuiteError, match="deletes the inherited test"):
        type("TestLess", (middle,), {NAME: None})


def test_class_cannot_opt_out_of_collection():
    with pytest.raises(SuiteError, match="sets __test__"):
        type("TestNone", (ModelContract,), {"__test__": False})


def test_own_tests_and_fixtures_are_free():
    type("TestMore", (ModelContract,), {"test_more": lambda self: None, "hours": 48})


def test_file_with_a_deleted_test_fails_with_the_reason(pytester):
    pytester.makepyfile(
        f"""
        from dagcast_testing import ModelContract

        class TestEta(ModelContract):
            {NAME} = None
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*SuiteError: *TestEta deletes the inherited test '{NAME}'*"])


def test_class_without_a_model_says_so(pytester):
    pytester.makepyfile(
        """
        from dagcast_testing import ModelContract

        class TestEta(ModelContract):
            pass
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "json")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*TestEta has no model: define a fixture `model`*"])


@pytest.mark.parametrize(("name", "value"), [("draws", 0), ("draws", 7), ("hours", 1)])
def test_suite_that_would_see_less_is_refused(name, value):
    with pytest.raises(SuiteError, match=f"sets {name} = {value}, with which tests of"):
        type("TestLess", (ModelContract,), {name: value})
