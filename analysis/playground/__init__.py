"""One prompt, answered and looked at from every side: label, margin, routing, distance to an audit, detectors.

    answer_prompt (asking) ─► PlaygroundAnswer (answer)
        openings   the refusal margin, with what an audit found
        distance   how far its routing lies from an audit's harmful and benign prompts
        verdicts   what trained detectors say of it

`answer` and `reference` are plain data, read by servers that never load torch; import the rest where a model is.
"""
