"""What the stored trajectories of a sweep look like: how alike steps are, their spectrum, their curvature."""
