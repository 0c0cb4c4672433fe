"""Which head and which elements the prediction hangs on: noise, curves, element maps, selection."""
