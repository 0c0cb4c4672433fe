"""Starting the server: ``python -m app.serve [streamlit options]``.

The heavy imports happen before the server answers, so that the first visitor does not wait for them.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# Modules that declare Streamlit's caches are not among them: those want a running server.
WARM = ("pandas", "plotly.graph_objects", "sfcore.present.model_comparison", "sfcore.runs.store")


def main() -> None:
    """Import what every page needs, then become Streamlit's server on the app's main script."""
    for module in WARM:
        importlib.import_module(module)
    from streamlit.web.cli import main as streamlit

    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("main.py")), *sys.argv[1:]]
    streamlit()


if __name__ == "__main__":
    main()
