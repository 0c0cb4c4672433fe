"""Images and labels: sources, published layouts, rendered scenes."""
