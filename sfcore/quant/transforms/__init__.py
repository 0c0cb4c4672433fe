"""What stands before a number is rounded: one file each."""
