"""Outcomes: what the model did. Refusal margin, generated answers, and the judges that label them."""
