"""The training of sd-mini: the autoencoder, then text encoder and UNet on its latents."""
