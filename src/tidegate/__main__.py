"""`python -m tidegate` is the command line."""

import sys

from tidegate.cli import main

sys.exit(main())
