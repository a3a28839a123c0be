"""`python -m hornbeam` runs the command `hornbeam`."""

import sys

from hornbeam.cli import main

if __name__ == "__main__":
    sys.exit(main())
