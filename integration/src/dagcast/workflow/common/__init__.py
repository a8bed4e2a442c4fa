"""What stages share: times and data, models, problems, plans and what is said of them."""
