"""From suspicion to evidence: split, search, ablate, confirm, and the ladder that says how far an expert got."""
