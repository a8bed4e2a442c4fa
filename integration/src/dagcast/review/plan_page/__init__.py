"""The page of a plan, one subject to a file."""

from dagcast.review.plan_page._believed import PlanEvidence
from dagcast.review.plan_page._charts import outcome_chart, weight_of
from dagcast.review.plan_page._compose import plan_page
from dagcast.review.plan_page._decided import lever_map
from dagcast.review.plan_page._words import bands, clock_words, shown_zones, whole_note

__all__ = [
    "PlanEvidence",
    "bands",
    "clock_words",
    "lever_map",
    "outcome_chart",
    "plan_page",
    "shown_zones",
    "weight_of",
    "whole_note",
]
