"""What a configuration expands to: conditions, windows, ablations, prompt switches, and the units with their keys."""
