"""A search: values of a method's options and bits that leave the least distortion, each trial an ordinary run."""
