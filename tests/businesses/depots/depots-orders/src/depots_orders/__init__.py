"""Orders per depot and hour."""
