"""Supply: organic driver hours and what incentives add to them."""
