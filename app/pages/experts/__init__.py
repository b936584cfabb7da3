"""/ui/runs/{id}/experts: the table of all of them, and a page for each."""
