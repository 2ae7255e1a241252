"""The evidence page: the pictures and trajectories of one ablation."""
