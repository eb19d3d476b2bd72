"""`headwater` as a program in which SQLAlchemy finds the plugin of the tests' URL (babelfish.py)."""

import sys

import babelfish  # noqa: F401 - registers the plugin

from headwater.cli import main

sys.exit(main())
