"""Tasks that pass nothing to each other, in a given order."""

from __future__ import annotations

from penstock import chain, pipeline, task


@task
def first() -> str:
    return "first"


@task
def second() -> str:
    return "second"


@task
def third() -> str:
    return "third"


@pipeline
def order() -> dict[str, str]:
    one, two, three = first(), second(), third()
    chain(three, two, one)
    return {"one": one, "three": three}
