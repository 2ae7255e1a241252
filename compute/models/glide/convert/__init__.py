"""From OpenAI's checkpoints of GLIDE to pipeline folders."""
