"""The flows: gather the evidence, decide, apply the decision. One flow per file."""
