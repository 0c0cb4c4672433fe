"""Ways to start runs, one file each: see :mod:`sfcore.runs.launcher`."""
