"""Proposes candidates for skip policies from a sweep's evidence and a cost model; each must then be run closed-loop."""
