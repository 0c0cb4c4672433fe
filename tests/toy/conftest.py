"""Commands as a script calls them."""

from tests.cli.conftest import sfcore_

__all__ = ["sfcore_"]
