"""/ui/judges: how well judges label, and the review queue."""
