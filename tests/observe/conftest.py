from __future__ import annotations

import sys
from pathlib import Path

# the graphs to draw are those of the command line's tests
sys.path.append(str(Path(__file__).parent.parent / "cli"))
