"""The dashboard's place: it comes with the phases and the recommended policy, and is not written yet.

It will read sweeps through `store`, `compute.analysis` and `compute.policy`; torch never enters its process.
"""
