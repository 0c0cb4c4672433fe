"""How datasets lie in their folders, one file a layout."""
