"""This project's quantization beside that of its peers, one file each, all with the same face."""
