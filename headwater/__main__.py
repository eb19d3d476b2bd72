"""Entry point of `python -m headwater`, equivalent to the console script."""

import sys

from headwater.cli import main

sys.exit(main())
