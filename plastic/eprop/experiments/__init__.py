"""The experiments of Bellec, Scherr et al. 2020."""
