"""The pages of runs that are no audits: mask, detect, trace, tune."""
