"""The state machine of a run, pure: events in, instructions out.

No clock, no randomness, no ids, no input or output, no threads: they arrive as data.
"""

from penstock.kernel.recovery import outstanding
from penstock.kernel.state import Frame, NodeProgress, Phase, RunProgress
from penstock.kernel.transitions import VERSION, handle

__all__ = ["VERSION", "Frame", "NodeProgress", "Phase", "RunProgress", "handle", "outstanding"]
