"""What becomes of predictions when a network leaves: engines against the simulation, and this against itself."""
