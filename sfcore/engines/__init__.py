"""What executes an exported network, one file each, all with the same face."""
