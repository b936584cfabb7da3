"""/ui/compare: two audits side by side."""
