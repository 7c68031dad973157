"""The experiments of Ernoult et al. 2019."""
