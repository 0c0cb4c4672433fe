"""The formats, one file each that registers itself."""
