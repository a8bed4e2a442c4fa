"""The pages that people read before they approve a plan and after it was carried out.

A page is one file: script, style and data are inside it, and nothing is fetched.
"""

from dagcast.review._content import (
    Bar,
    Block,
    Card,
    Chart,
    Column,
    Forest,
    Form,
    Heatmap,
    Interval,
    Layer,
    Line,
    Map,
    Page,
    Section,
    Table,
    Text,
    Waterfall,
)
from dagcast.review._page import Around, render, rendered
from dagcast.review._retro_desk import Reality
from dagcast.review._retro_page import retro_page
from dagcast.review.plan_page import PlanEvidence, TeamPanel, plan_page

__all__ = [
    "Around",
    "Bar",
    "Block",
    "Card",
    "Chart",
    "Column",
    "Forest",
    "Form",
    "Heatmap",
    "Interval",
    "Layer",
    "Line",
    "Map",
    "Page",
    "PlanEvidence",
    "Reality",
    "Section",
    "Table",
    "TeamPanel",
    "Text",
    "Waterfall",
    "plan_page",
    "render",
    "rendered",
    "retro_page",
]
