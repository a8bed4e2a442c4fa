"""The page of a plan, one subject to a file."""

from dagcast.review.plan_page._believed import PlanEvidence
from dagcast.review.plan_page._compose import plan_page
from dagcast.review.plan_page._decided import lever_map
from dagcast.review.plan_page._words import bands, whole_note

__all__ = ["PlanEvidence", "bands", "lever_map", "plan_page", "whole_note"]
