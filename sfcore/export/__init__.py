"""The way out: a quantized detector as files that engines read, one file a format."""
