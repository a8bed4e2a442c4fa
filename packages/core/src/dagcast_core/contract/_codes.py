"""Stable problem codes. A code never changes its meaning and is never used again.

Each has a page ``docs/reference/problems/<code>.md``; the kind is the word shown in the line.
"""

from dagcast_core.contract._mapping import FrozenMapping

PROBLEM_CODES: FrozenMapping[str] = FrozenMapping(
    {
        # Assembly: contracts of several models together.
        "DC101": "cycle",
        "DC102": "missing quantity",
        "DC103": "two producers of",
        "DC104": "dims",
        "DC105": "unit",
        "DC106": "aggregation",
        "DC107": "frequency",
        "DC108": "zone",
        "DC109": "vocabulary",
        "DC110": "bounds",
        "DC111": "lag",
        "DC112": "dtype",
        "DC113": "nullable",
        "DC114": "experiment",
        "DC115": "experiment path",
        "DC116": "model name",
        "DC117": "choice for",
        "DC118": "lost effect of",
        # Plugins: what an installed distribution registers.
        "DC201": "import of",
        "DC202": "hook",
        "DC203": "plugin API of",
        "DC204": "entry point",
        "DC205": "hook call",
        "DC206": "hook result",
        "DC207": "disabled plugin",
        "DC208": "missing hook",
        "DC209": "snapshot",
        "DC210": "two declarations of",
        "DC211": "metric",
        "DC212": "first setting",
        "DC213": "undeclared import of",
        "DC214": "requirement",
        "DC215": "loading of",
        # Evolution: a contract against its last release.
        "DC301": "contract version of",
        "DC302": "removed model",
        "DC303": "change fragments of",
        "DC304": "package version of",
        # Conformance: an installed model against its own contract.
        "DC401": "conformance",
        "DC402": "conformance suite",
        # Releases: a candidate set of packages.
        "DC501": "release gate",
        "DC502": "release metric",
        "DC503": "release manifest",
        "DC504": "installed package",
    }
)
"""The kind of each problem by its code, the word shown in the line."""
