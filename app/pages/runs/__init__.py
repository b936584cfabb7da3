"""/ui/runs: the list of all runs."""
