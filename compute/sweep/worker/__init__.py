"""What executes a unit: the worker, its specification, trajectories, the states that are stored, metrics."""
