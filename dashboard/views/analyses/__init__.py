"""The analyses page: what the stored trajectories and damages show that no single cell does."""
