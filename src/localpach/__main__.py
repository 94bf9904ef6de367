"""Makes `python -m localpach` the same as `localpach`."""

import sys

from localpach.cli import main

sys.exit(main())
