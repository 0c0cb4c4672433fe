"""Sweeps of laser scanners: reading their files, and rendering any number of them with exact boxes."""
