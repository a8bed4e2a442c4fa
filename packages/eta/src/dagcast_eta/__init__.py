"""Pickup ETA from the driver-hours identity of a matching market."""
