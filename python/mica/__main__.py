"""`python -m mica` is the `mica` command."""

import sys

from mica.start import main

if __name__ == "__main__":
    sys.exit(main())
