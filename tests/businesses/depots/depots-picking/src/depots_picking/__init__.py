"""From orders, the roster and overtime to orders sent in time."""
