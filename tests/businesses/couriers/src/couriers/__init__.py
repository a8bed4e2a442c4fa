"""Couriers who carry booked parcels for a marketplace, by type of vehicle."""
