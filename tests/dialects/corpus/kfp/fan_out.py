from typing import List

from kfp import dsl


@dsl.component
def names() -> List[str]:
    return ["oak", "ash", "elm"]


@dsl.component
def shout(name: str, mark: str) -> str:
    return name.upper() + mark


@dsl.component
def join(parts: List[str]) -> str:
    return " ".join(parts)


@dsl.pipeline(name="fan-out")
def fan_out(mark: str = "!") -> str:
    listed = names()
    with dsl.ParallelFor(listed.output, parallelism=2) as name:
        shouted = shout(name=name, mark=mark)
    return join(parts=dsl.Collected(shouted.output)).output
