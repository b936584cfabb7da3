"""/ui/runs/new: the form that starts a run."""
