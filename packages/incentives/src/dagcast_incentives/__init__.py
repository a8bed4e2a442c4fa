"""Driver bonus spend to incremental driver hours."""
