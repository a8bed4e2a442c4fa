"""What the behavioural suite found reaches the reader as problems."""

import json
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

import pytest

from dagcast.conformance import ConformanceResult, _results, check_conformance
from dagcast_core.contract import Problem

PROBLEM = Problem.of(
    "DC401", "test_short_horizons", expected="0 steps of 'eta'", found="1", fix="do it"
)
REPORT = f"""
<testsuites><testsuite>
  <testcase name="test_output_dtype_is_as_declared[dagcast-eta:eta]"/>
  <testcase name="test_two_constructions_agree[dagcast-eta:eta-second]"/>
  <testcase name="test_short_horizons[dagcast-eta:eta]">
    <properties>
      <property name="dagcast.problem" value={quoteattr(json.dumps(PROBLEM.to_json()))}/>
    </properties>
    <failure message="eta: expected 0 steps of 'eta'; found 1. fix: do it"/>
  </testcase>
  <testcase name="test_other_windows[dagcast-eta:eta]"><skipped message="follows"/></testcase>
  <testcase name="test_short_horizons[my-eta:eta]"/>
</testsuite></testsuites>
"""


def test_failures_are_the_problems_that_the_suite_describes():
    ours, mine = _results(ElementTree.fromstring(REPORT))
    assert (ours.distribution, ours.model) == ("dagcast-eta", "eta")
    assert (ours.passed, ours.failed, ours.skipped) == (2, 1, 1)
    assert ours.problems == (PROBLEM,)
    assert (mine.passed, mine.problems) == (1, ())


def test_result_as_json_holds_its_problems():
    (ours, _) = _results(ElementTree.fromstring(REPORT))
    assert ours.to_json()["problems"][0]["code"] == "DC401"
    assert ConformanceResult("a", "b", 1, 0).to_json()["problems"] == []


@pytest.mark.again
def test_package_that_is_not_installed_cannot_be_tried():
    (result,) = check_conformance(["no-such-package"])
    (problem,) = result.problems
    assert problem.code == "DC402"
    assert "no installed distribution 'no-such-package' registers a model" in problem.found
