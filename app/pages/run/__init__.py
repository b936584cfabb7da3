"""A run's frame, its overview and its report, and what can be done with its experts."""
