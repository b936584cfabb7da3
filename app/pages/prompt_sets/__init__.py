"""/ui/prompt-sets: stored sets, one set, and the import of a file."""
