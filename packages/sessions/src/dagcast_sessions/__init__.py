"""Rider demand: organic, weather-driven and coupon-driven app sessions."""
