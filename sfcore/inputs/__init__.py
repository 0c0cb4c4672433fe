"""What networks read."""
