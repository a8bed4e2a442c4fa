"""Depots that send parcels: event tables, clocks and first settings."""
