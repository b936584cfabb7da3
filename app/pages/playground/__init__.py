"""/ui/playground: one prompt for one model."""
