"""Programs, with inputs and outputs."""

from __future__ import annotations

from penstock import command, pipeline, task

greet = command("echo hello {name}", name="greet")


@task
def tidy(text: str) -> str:
    return text.strip().title()


@pipeline
def commands(name: str = "world") -> str:
    return tidy(greet(name=name))
