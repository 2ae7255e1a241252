"""The two phases of generation: observed and causal evidence for their boundary."""
