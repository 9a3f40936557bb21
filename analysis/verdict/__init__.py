"""From evidence to a verdict: which process carries a proof, what is checked beside it, and who is promoted."""
