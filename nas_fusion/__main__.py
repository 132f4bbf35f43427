"""`python -m nas_fusion` is `nas-fusion`."""

import sys

from nas_fusion.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
