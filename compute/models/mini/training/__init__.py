"""The training of glide-mini and of its upsampler."""
