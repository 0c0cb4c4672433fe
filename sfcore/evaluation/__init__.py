"""The official metrics of benchmarks, and detectors run over whole datasets."""
