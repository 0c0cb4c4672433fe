"""The official metrics of the datasets, one file each."""
