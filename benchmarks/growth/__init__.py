"""Cost against what grows: images, heads, visitors, workers."""
