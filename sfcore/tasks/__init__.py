"""What detectors answer with: one package each."""
