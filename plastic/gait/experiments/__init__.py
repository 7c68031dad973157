"""The experiments of Ahmad et al. 2020."""
