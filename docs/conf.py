"""How Sphinx makes a site of the pages of `docs/`.

make docs
"""

import logging

from tfx_explain import __version__

project = "tfx-explain"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Headings have the addresses that GitHub gives them, so that links work in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

default_role = "code"  # docstrings quote names as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "tfx-explain"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

# What docstrings are read from imports TFX and Beam, which talk as they load.
for library in ("absl", "apache_beam"):
    logging.getLogger(library).setLevel(logging.WARNING)
