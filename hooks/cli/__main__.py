"""`python -m hooks.cli`, the same as `backpain-cds`."""

import sys

from hooks.cli import main

sys.exit(main())
