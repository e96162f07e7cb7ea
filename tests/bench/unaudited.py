"""The service without its audit, to compare with: `backpain-cds`, run as `python -m tests.bench.unaudited`."""

import sys

from hooks.audit.trail import Audit, Unaudited
from hooks.cli import main

if __name__ == "__main__":
    Audit.record, Audit.record_busy = Unaudited.record, Unaudited.record_busy
    sys.exit(main())
