"""Benchmarks of speed and cost: reports with the hardware that they ran on, never tests."""
