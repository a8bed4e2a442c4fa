from datetime import UTC, datetime

from dagcast.review import Card, Page, Section, Text, render

page = Page(
    title="Week of 5 January",
    kicker="north",
    headline="Spend less at night",
    status="optimal",
    tone="good",
    cards=(Card("Spend", "$12,090"),),
    sections=(Section("cost", "What it costs", "", (Text("Within the budget."),)),),
    rows=("SFO",),
    dim="region",
    hours=(datetime(2026, 1, 5, tzinfo=UTC),),
)
assert "Within the budget." in render(page)  # one file: nothing is fetched when it is read
