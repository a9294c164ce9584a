"""`python -m tieout.cli`."""

from __future__ import annotations

import sys

from tieout.cli import main

sys.exit(main())
