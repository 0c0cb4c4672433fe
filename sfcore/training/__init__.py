"""Training of the narrow detectors on rendered scenes: ``python -m sfcore.training ganet-tiny --out FILE``.

A family joins with one file here: a class with ``targets`` and ``loss``, registered by
:func:`sfcore.training.objective.register` under the names of the detectors that it trains.
"""
