"""A described pipeline, as a user would write it."""

from __future__ import annotations

from typing import Any

from plan_tasks import gather, no_spare, numbers, spare, work
from plans import Body, Branch, Call, Fan, ForEach, Gather, How, Numbers, Part, Source, Step, Try, Turns, While

from penstock import choose, otherwise, pipeline, repeat, value, when

Env = dict[str, Any]

_FALLBACKS: dict[str, Any] = {"value": -1, "task": spare, "failing": no_spare}


def pipeline_of(body: Body) -> Any:
    def composed(x: int, y: int) -> Any:
        env: Env = {"x": x, "y": y}
        for step in body.steps:
            _BUILDERS[type(step)](step, env)
        return env[body.result]

    composed.__name__ = composed.__qualname__ = body.name
    return pipeline(composed)


def _taken(source: Source, env: Env) -> Any:
    return (
        list(source.literal)
        if isinstance(source.literal, tuple)
        else env[source.name]
        if source.name
        else source.literal
    )


def _options(name: str, how: How) -> dict[str, Any]:
    fallback = {"fallback": _FALLBACKS[how.fallback]} if how.fallback else {}
    return {"name": name, "retries": how.retries, "retry_delay": 0, "decides": how.decides, **fallback}


def _call(step: Call, env: Env) -> None:
    after = [env[name] for name in step.after]
    called = work.options(**_options(step.name, step.how), join=step.join, after=after)
    env[step.name] = called(_taken(step.x, env), _taken(step.y, env), step.how.kind, step.how.salt)


def _numbers(step: Numbers, env: Env) -> None:
    env[step.name] = numbers.options(name=step.name)(_taken(step.x, env))


def _gather(step: Gather, env: Env) -> None:
    env[step.name] = gather.options(name=step.name, join=step.join)([_taken(each, env) for each in step.sources])


def _fan(step: Fan, env: Env) -> None:
    over, y = _taken(step.over, env), _taken(step.y, env)
    options: dict[str, Any] = {"failure_threshold": step.threshold, "max_parallel": step.max_parallel}
    if step.body is None:
        mapped: Any = work.options(**_options(step.name, step.how), **options)
        fixed = {"kind": step.how.kind, "salt": step.how.salt}
    else:
        mapped = pipeline_of(step.body).options(name=step.name, decides=step.how.decides, **options)
        fixed = {}
    if step.product:
        env[step.name] = mapped.partial(**fixed).product(x=over, y=[1, 2])
    else:
        env[step.name] = mapped.partial(y=y, **fixed).map(x=over)


def _part(step: Part, env: Env) -> None:
    called = pipeline_of(step.body).options(name=step.name)
    env[step.name] = called(_taken(step.x, env), _taken(step.y, env))


def _turns(step: Turns, env: Env) -> None:
    loop = repeat(
        pipeline_of(step.body),
        until=lambda result: result % 5 == 0,
        maximum=4,
        strict=step.strict,
        carry="x",
        name=step.name,
    )
    env[step.name] = loop(x=_taken(step.x, env), y=_taken(step.y, env))


def _branch(step: Branch, env: Env) -> None:
    on = _taken(step.on, env)
    ends: list[Any] = []
    with when(on % 2 == 0):
        ends.append(_side(step.then, env))
    with otherwise():
        ends.append(_side(step.otherwise, env))
    env[step.name] = work.options(name=step.name)(choose(*ends), 0, "plain", 0)


def _side(steps: tuple[Step, ...], env: Env) -> Any:
    inner = dict(env)
    for step in steps:
        _BUILDERS[type(step)](step, inner)
    return inner[steps[-1].name]


def _while(step: While, env: Env) -> None:
    x = _taken(step.x, env)
    for turn in range(4):
        x = work.options(**_options(f"{step.name}_{turn}", step.how))(x, 0, step.how.kind, step.how.salt)
        if x % 5 == 0:
            break
    env[step.name] = x


def _for(step: ForEach, env: Env) -> None:
    total = 0
    for turn, element in enumerate(_taken(step.over, env)):
        called = work.options(**_options(f"{step.name}_{turn}", step.how))
        total += value(called(element, 0, step.how.kind, step.how.salt))
    env[step.name] = total


def _try(step: Try, env: Env) -> None:
    try:
        result = work.options(**_options(step.name, step.how))(_taken(step.x, env), 0, step.how.kind, step.how.salt)
        value(result)
    except ValueError:
        result = spare.options(name=f"{step.name}_spare")(_taken(step.x, env), 0, "plain", 0)
    env[step.name] = result


_BUILDERS: dict[type, Any] = {
    Call: _call,
    Numbers: _numbers,
    Gather: _gather,
    Fan: _fan,
    Part: _part,
    Turns: _turns,
    Branch: _branch,
    While: _while,
    ForEach: _for,
    Try: _try,
}
