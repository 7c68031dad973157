"""The experiments of Ellenberger et al. 2024."""
