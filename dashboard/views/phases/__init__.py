"""The phases page: when composition ends and denoising begins, and the evidence for it."""
