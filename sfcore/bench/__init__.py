"""A bench: many detectors, schemes, methods and seeds, each an ordinary run, and the tables made of them."""
