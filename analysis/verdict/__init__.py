"""From evidence to a verdict: which process proves a gain, what is checked besides, and which challenger is promoted."""
