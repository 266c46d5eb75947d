from typing import List

from kfp import dsl


@dsl.component
def scale(depth: float, rate: float) -> float:
    return depth * rate


@dsl.component
def double(value: float) -> float:
    return value * 2


@dsl.component
def best(values: List[float]) -> float:
    return max(values)


@dsl.pipeline(name="nested-loops")
def nested_loops(rate: float = 0.5) -> float:
    with dsl.ParallelFor([{"depth": 2.0, "rate": 0.5}, {"depth": 3.0, "rate": 1.5}]) as case:
        scaled = scale(depth=case.depth, rate=case.rate)
        doubled = double(value=scaled.output)
        with dsl.ParallelFor([1.5, 2.5]) as depth:
            again = scale(depth=depth, rate=doubled.output)
            double(value=again.output)
    return best(values=dsl.Collected(doubled.output)).output
