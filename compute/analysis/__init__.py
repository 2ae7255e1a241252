"""What a sweep's numbers say: no torch here, so that the dashboard can ask, too."""
