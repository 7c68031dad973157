"""The experiments of Song et al. 2024."""
