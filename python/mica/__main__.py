"""`python -m mica` is the `mica` command."""

import sys

from mica.cli import main

if __name__ == "__main__":
    sys.exit(main())
