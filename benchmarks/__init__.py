"""Benchmarks: reports with the hardware they ran on, never tests."""
