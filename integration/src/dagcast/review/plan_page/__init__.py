"""The page of a plan, one subject to a file."""

from dagcast.review.plan_page._believed import PlanEvidence
from dagcast.review.plan_page._charts import outcome_chart, weight_of
from dagcast.review.plan_page._compose import plan_page
from dagcast.review.plan_page._decided import lever_map
from dagcast.review.plan_page._desk import ALL, cell_form, total_form
from dagcast.review.plan_page._expected import together
from dagcast.review.plan_page._first import row_address
from dagcast.review.plan_page._teams import TeamPanel
from dagcast.review.plan_page._words import bands, clock_words, plural, shown_zones, whole_note

__all__ = [
    "ALL",
    "PlanEvidence",
    "TeamPanel",
    "bands",
    "cell_form",
    "clock_words",
    "lever_map",
    "outcome_chart",
    "plan_page",
    "plural",
    "row_address",
    "shown_zones",
    "together",
    "total_form",
    "weight_of",
    "whole_note",
]
