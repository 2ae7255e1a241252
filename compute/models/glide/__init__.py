"""GLIDE as a diffusers pipeline."""
