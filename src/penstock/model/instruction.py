"""What the kernel asks of the runtime. `item` is the position in a fan-out, or -1 for a node that is not mapped.

An instruction is void once the cell it is about has been settled as cancelled.
"""

from __future__ import annotations

import msgspec

from penstock.model.event import Fault
from penstock.model.run import NodeState, RunState


class Instruction(msgspec.Struct, frozen=True, gc=False):
    """The root of all instructions."""


class Expand(Instruction, frozen=True):
    """Evaluate the condition and the iterables of a node; answer with Expanded, Skipped or Broken."""

    node: str


class Decide(Instruction, frozen=True):
    """Evaluate the condition of a node that is not to run in any case, as far as it can be known: if it does not hold,
    the node was left out, whatever else. Answer with Skipped, with Broken, or else with Expanded, without items."""

    node: str


class Check(Instruction, frozen=True):
    """Resolve the inputs of items `start` up to but not including `stop`, and look for recorded results; answer each
    with Hit, Missed or Broken. A node that is not mapped has start -1 and stop 0."""

    node: str
    start: int
    stop: int


class Ready(Instruction, frozen=True):
    """The attempt may start as soon as the executor has room; answer with Started."""

    node: str
    item: int
    attempt: int


class Delay(Instruction, frozen=True):
    """Answer with Woke after `seconds`, shortened or lengthened by chance by up to `jitter` of that."""

    node: str
    item: int
    attempt: int
    seconds: float
    jitter: float = 0.0


class Stop(Instruction, frozen=True):
    """End an attempt that is under way; answer with Failed or Succeeded, whichever comes first."""

    node: str
    item: int
    attempt: int


class Settle(Instruction, frozen=True):
    """Record how a node, or an item of it, ended without an attempt or a recorded result."""

    node: str
    item: int
    state: NodeState
    reason: str = ""
    fault: Fault | None = None


class Conclude(Instruction, frozen=True):
    """All of a body has ended well enough: evaluate its result, and in a loop whether another turn is due; answer with
    Concluded or Broken. `turn` counts the turns of a loop from 0; it is 0 elsewhere."""

    node: str
    item: int
    turn: int = 0


class Substitute(Instruction, frozen=True):
    """Evaluate the fallback value of a node or an item; answer with Substituted or Broken."""

    node: str
    item: int


class Grow(Instruction, frozen=True):
    """Let the dynamic body of a frame begin; answer with Grown, as often as it takes."""

    frame: str


class Finish(Instruction, frozen=True):
    """Nothing is left to do; `state` is how the run ended."""

    state: RunState


AnyInstruction = Expand | Decide | Check | Ready | Delay | Stop | Settle | Conclude | Substitute | Grow | Finish
