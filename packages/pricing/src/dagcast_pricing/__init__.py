"""Prime time, conversion, rides, revenue, driver pay and profit."""
