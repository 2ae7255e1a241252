"""Estimates with intervals and significance over conditions; numpy alone."""
