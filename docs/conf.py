"""Sphinx's configuration: `make docs` builds docs/_build/index.html."""

import snakepit

project = "Snakepit"
release = version = snakepit.__version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"Snakepit {release}"
