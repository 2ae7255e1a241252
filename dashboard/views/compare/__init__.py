"""The compare page: several sweeps beside each other."""
