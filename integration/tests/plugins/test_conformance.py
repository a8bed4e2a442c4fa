"""What the behavioural suite found reaches the reader as problems."""

import xml.etree.ElementTree as ElementTree

from dagcast.conformance import ConformanceResult, _results, check_conformance

REPORT = """
<testsuites><testsuite>
  <testcase name="test_output_dtype_is_as_declared[dagcast-eta:eta]"/>
  <testcase name="test_short_horizons[dagcast-eta:eta]">
    <failure
      message="AssertionError: eta: expected 0 steps of 'eta'; found 1. fix: do it&#10;assert 1"/>
  </testcase>
  <testcase name="test_short_horizons[my-eta:eta]">
    <error message="KeyError: 'region'"/>
  </testcase>
</testsuite></testsuites>
"""


def test_failures_become_problems_with_both_sides_and_how_to_try_again():
    ours, mine = _results(ElementTree.fromstring(REPORT))
    assert (ours.distribution, ours.model, ours.passed, ours.failed) == ("dagcast-eta", "eta", 1, 1)
    assert str(ours.problems[0]) == (
        "DC401 [- <- eta (dagcast-eta)] conformance 'test_short_horizons': expected 0 steps of "
        "'eta'; found 1. fix: do it; try again with DAGCAST_CONFORMANCE=dagcast-eta pytest "
        "--pyargs dagcast_testing.conformance -k test_short_horizons"
    )
    assert "expected the test to pass; found KeyError: 'region'. fix: try again" in str(
        mine.problems[0]
    )


def test_result_as_json_holds_its_problems():
    (ours, _) = _results(ElementTree.fromstring(REPORT))
    assert ours.to_json()["problems"][0]["code"] == "DC401"
    assert ConformanceResult("a", "b", 1, 0).to_json()["problems"] == []


def test_package_that_is_not_installed_cannot_be_tried():
    (result,) = check_conformance(["no-such-package"])
    (problem,) = result.problems
    assert problem.code == "DC402"
    assert "no installed distribution 'no-such-package' registers a model" in problem.found
