"""A described pipeline carried out in plain Python, with nothing of penstock but its exceptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from plan_tasks import outcome_of, spare_of, total_of
from plans import Body, Branch, Call, Fan, ForEach, Gather, How, Numbers, Part, Source, Step, Try, Turns, While

from penstock import Skip

SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED = "succeeded", "failed", "skipped", "upstream_failed"


@dataclass(frozen=True)
class End:
    """How a step ended, and with which value."""

    state: str
    value: Any = None
    #: of a fan-out whose items began: how each of them ended
    items: tuple[End, ...] | None = None
    #: whether it is a value that is there from the start, so that nothing waits for it
    given: bool = False

    @property
    def ran(self) -> bool:
        return self.state == SUCCEEDED


def _given(value: Any) -> End:
    return End(SUCCEEDED, value, given=True)


class _BodyFailed(Exception):
    """A body used the value of a step that has none."""


@dataclass
class Reading:
    """What became of every node and item, by its id."""

    states: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def read(body: Body, x: int, y: int) -> tuple[Reading, End]:
    reading = Reading()
    return reading, _frame(body, _given(x), _given(y), "", reading)


def _frame(body: Body, x: End, y: End, prefix: str, reading: Reading) -> End:
    frame = _Frame(reading, prefix, {"x": _given(x.value), "y": _given(y.value)})
    try:
        for step in body.steps:
            frame.step(step)
    except _BodyFailed:
        return End(FAILED)
    if frame.failed:
        return End(FAILED)
    return End(SUCCEEDED, frame.env[body.result].value)


@dataclass
class _Guard:
    """A condition that a step stands under."""

    on: End
    holds: Callable[[Any], bool]


class _Frame:
    def __init__(self, reading: Reading, prefix: str, env: dict[str, End]) -> None:
        self._reading = reading
        self._prefix = prefix
        self._guards: tuple[_Guard, ...] = ()
        self.env = env
        #: whether something failed that decides
        self.failed = False

    def step(self, step: Step) -> None:
        getattr(self, f"_{type(step).__name__.lower()}")(step)

    def _taken(self, source: Source) -> End:
        if source.name:
            return self.env[source.name]
        literal = source.literal
        return _given(list(literal) if isinstance(literal, tuple) else literal)

    def _note(self, name: str, end: End, decides: bool = True) -> End:
        self._reading.states[f"{self._prefix}{name}"] = end.state
        if end.ran and end.value is not None:
            self._reading.values[f"{self._prefix}{name}"] = end.value
        self.failed |= decides and end.state == FAILED
        return end

    def _stopped(self, upstream: Sequence[End], join: str = "all_success") -> End | None:
        """What a step comes to that may not start; None if it may."""
        upstream = [*upstream, *(guard.on for guard in self._guards)]
        states = [each.state for each in upstream if not each.given]
        stopped = _joined(join, states)
        if stopped == SKIPPED:
            return End(SKIPPED)
        try:
            # a condition that is known counts first: what it leaves out is skipped, whatever has failed before it
            known = [guard for guard in self._guards if guard.on.ran or stopped is None]
            if not all(guard.holds(guard.on.value) for guard in known):
                return End(SKIPPED)
        except TypeError:
            # nothing is neither even nor odd
            return End(FAILED)
        return None if stopped is None else End(stopped)

    def _call(self, step: Call) -> None:
        x, y = self._taken(step.x), self._taken(step.y)
        upstream = [x, y, *(self.env[name] for name in step.after)]
        end = self._stopped(upstream, step.join) or _attempted(x.value, y.value, step.how)
        self.env[step.name] = self._note(step.name, end, step.how.decides)

    def _numbers(self, step: Numbers) -> None:
        x = self._taken(step.x)
        number = 1 if x.value is None else x.value
        end = self._stopped([x]) or End(SUCCEEDED, [number + more for more in range(number % 4)])
        self.env[step.name] = self._note(step.name, end)

    def _gather(self, step: Gather) -> None:
        ends = [self._taken(each) for each in step.sources]
        end = self._stopped(ends, step.join) or End(SUCCEEDED, total_of([each.value for each in ends]))
        self.env[step.name] = self._note(step.name, end)

    def _fan(self, step: Fan) -> None:
        over, y = self._taken(step.over), self._taken(step.y)
        # items follow one by one, except that all of them are there for combinations
        streams = over.items is not None and not step.product
        needed = [] if streams else [over]
        stopped = self._stopped(needed if step.product else [*needed, y])
        if stopped is not None:
            self.env[step.name] = self._note(step.name, stopped)
            return
        elements = over.items if streams and over.items is not None else [End(SUCCEEDED, each) for each in over.value]
        pairs = [(each, End(SUCCEEDED, second)) for each in elements for second in (1, 2)] if step.product else []
        pairs = pairs or ([] if step.product else [(each, y) for each in elements])
        ends = [self._item(step, number, *pair) for number, pair in enumerate(pairs)]
        end = _of_items(ends, over, step.threshold)
        self.failed |= end.state == FAILED and step.how.decides
        if not ends:
            # its list, which nothing was added to, is no output of a node
            self._reading.states[f"{self._prefix}{step.name}"] = end.state
        self.env[step.name] = end

    def _item(self, step: Fan, number: int, x: End, y: End) -> End:
        name = f"{step.name}[{number}]"
        stopped = _joined("all_success", [x.state])
        if stopped is not None:
            end = End(stopped)
        elif step.body is None:
            end = _attempted(x.value, y.value, step.how)
        else:
            end = _frame(step.body, x, y, f"{self._prefix}{name}/", self._reading)
        return self._note(name, end, decides=False)

    def _part(self, step: Part) -> None:
        inner = _Frame(
            self._reading, f"{self._prefix}{step.name}/", {"x": self._taken(step.x), "y": self._taken(step.y)}
        )
        inner._guards = self._guards
        for each in step.body.steps:
            inner.step(each)
        self.failed |= inner.failed
        self.env[step.name] = inner.env[step.body.result]

    def _turns(self, step: Turns) -> None:
        x, y = self._taken(step.x), self._taken(step.y)
        end = self._stopped([x, y]) or self._repeated(step, x, y)
        self.env[step.name] = self._note(step.name, end)

    def _repeated(self, step: Turns, x: End, y: End) -> End:
        for turn in range(4):
            x = _frame(step.body, x, y, f"{self._prefix}{step.name}[{turn}]/", self._reading)
            if not x.ran or x.value is None:
                return End(FAILED)
            if x.value % 5 == 0:
                return x
        return End(FAILED) if step.strict else x

    def _branch(self, step: Branch) -> None:
        on = self._taken(step.on)
        ends = [
            self._side(step.then, _Guard(on, lambda value: value % 2 == 0)),
            self._side(step.otherwise, _Guard(on, lambda value: value % 2 != 0)),
        ]
        chosen = next((end for end in ends if end.ran), None)
        stopped = self._stopped([chosen] if chosen is not None else ends)
        end = stopped or _attempted(chosen.value if chosen is not None else None, 0, How())
        self.env[step.name] = self._note(step.name, end)

    def _side(self, steps: Sequence[Step], guard: _Guard) -> End:
        env, guards = self.env, self._guards
        self.env, self._guards = dict(env), (*guards, guard)
        for step in steps:
            self.step(step)
        last = self.env[steps[-1].name]
        self.env, self._guards = env, guards
        return last

    def _while(self, step: While) -> None:
        x = self._taken(step.x)
        for turn in range(4):
            x = self._note(
                f"{step.name}_{turn}", self._stopped([x]) or _attempted(x.value, 0, step.how), step.how.decides
            )
            if _used(x) % 5 == 0:
                break
        self.env[step.name] = x

    def _foreach(self, step: ForEach) -> None:
        total = 0
        for turn, element in enumerate(_used(self._taken(step.over))):
            end = _attempted(element, 0, step.how)
            total += _used(self._note(f"{step.name}_{turn}", end, step.how.decides))
        self.env[step.name] = _given(total)

    def _try(self, step: Try) -> None:
        x = self._taken(step.x)
        end = self._note(step.name, _attempted(x.value, 0, step.how), decides=False)
        if not end.ran:
            end = self._note(f"{step.name}_spare", End(SUCCEEDED, spare_of(x.value, "")))
        self.env[step.name] = end


def _used(end: End) -> Any:
    """The value of a step that Python needs. Raises _BodyFailed if there is none."""
    if not end.ran:
        raise _BodyFailed
    return end.value


def _attempted(x: int | None, y: int | None, how: How) -> End:
    """What the attempts at a task come to, its fallback included."""
    for attempt in range(1, how.retries + 2):
        try:
            return End(SUCCEEDED, outcome_of(x, y, how.kind, how.salt, attempt))
        except Skip:
            return End(SKIPPED)
        except (ValueError, OSError):
            continue
    if how.fallback == "value":
        return End(SUCCEEDED, -1)
    return End(SUCCEEDED, spare_of(x, how.fallback)) if how.fallback == "task" else End(FAILED)


def _joined(rule: str, states: Sequence[str]) -> str | None:
    """The state of what may not start, by how its upstream ended."""
    failed = [state in (FAILED, UPSTREAM_FAILED) for state in states]
    skipped = [state == SKIPPED for state in states]
    succeeded = [state == SUCCEEDED for state in states]
    met = {
        "all_success": all(succeeded),
        "all_failed": all(failed),
        "all_done": True,
        "all_skipped": all(skipped),
        "none_failed": not any(failed),
        "none_skipped": not any(skipped),
        "none_failed_min_one_success": not states or (not any(failed) and any(succeeded)),
    }
    if met[rule]:
        return None
    passes_on = rule in ("all_success", "none_failed", "none_failed_min_one_success")
    return UPSTREAM_FAILED if passes_on and any(failed) else SKIPPED


def _of_items(ends: Sequence[End], over: End, threshold: int) -> End:
    """How a fan-out ended, by its items."""
    states = [end.state for end in ends]
    values = [end.value for end in ends if end.ran]
    items = tuple(ends)
    if states.count(FAILED) > threshold:
        return End(FAILED, None, items)
    if UPSTREAM_FAILED in states and not over.ran:
        return End(UPSTREAM_FAILED, None, items)
    if states and states.count(SKIPPED) == len(states):
        return End(SKIPPED, None, items)
    return End(SUCCEEDED, values, items)
