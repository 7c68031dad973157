"""The experiments of comparisons."""
