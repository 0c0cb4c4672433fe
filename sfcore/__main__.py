"""``python -m sfcore`` is the ``sfcore`` command."""

import sys

from sfcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
