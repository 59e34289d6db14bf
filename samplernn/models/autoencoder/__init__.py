"""Discrete autoencoders, VQ-VAE and AMAE."""
