"""`headwater` for a warehouse on Babelfish, as a program: SQLAlchemy finds the plugin of the URL (babelfish.py)."""

import sys

import babelfish  # noqa: F401 - registers the plugin

from headwater.cli import main

sys.exit(main())
