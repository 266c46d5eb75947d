from kfp import dsl


@dsl.component
def flip(seed: int) -> str:
    return "heads" if seed % 2 else "tails"


@dsl.component
def count(text: str, times: int) -> int:
    return len(text) * times


@dsl.pipeline(name="conditions")
def conditions(seed: int = 3, deep: bool = True) -> str:
    flipped = flip(seed=seed)
    with dsl.Condition(flipped.output == "heads", name="heads"):
        counted = count(text=flipped.output, times=2)
        with dsl.If(deep == True):  # noqa: E712
            count(text="deeper", times=seed).after(counted)
    with dsl.If(flipped.output != "heads"):
        count(text="never", times=1)
    return flipped.output
