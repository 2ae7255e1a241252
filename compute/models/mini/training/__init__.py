"""The training of glide-mini."""
