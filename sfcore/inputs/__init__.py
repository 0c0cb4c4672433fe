"""What networks read: one file each kind of input."""
