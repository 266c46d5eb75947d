from typing import NamedTuple

from kfp import dsl


@dsl.component
def split(text: str) -> NamedTuple("Outputs", [("first", str), ("rest", list), ("count", int)]):
    words = text.split()
    return (words[0], words[1:], len(words))


@dsl.component
def pack(first: str, rest: list, count: int) -> dict:
    return {"first": first, "rest": rest, "many": count > 2}


@dsl.pipeline(name="named-outputs")
def named_outputs(text: str = "the gated pipe") -> NamedTuple("Outputs", [("packed", dict), ("count", int)]):
    parts = split(text=text)
    packed = pack(
        first=parts.outputs["first"], rest=parts.outputs["rest"], count=parts.outputs["count"]
    )
    outputs = NamedTuple("Outputs", [("packed", dict), ("count", int)])
    return outputs(packed=packed.output, count=parts.outputs["count"])
