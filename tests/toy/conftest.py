"""Commands as a script calls them, and visits that leave no trace."""

from tests.app.conftest import _main_module
from tests.cli.conftest import sfcore_

__all__ = ["_main_module", "sfcore_"]
