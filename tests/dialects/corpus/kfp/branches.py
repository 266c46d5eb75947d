from kfp import dsl


@dsl.component
def measure(value: int) -> int:
    return value * 10


@dsl.component
def label(text: str) -> str:
    return text.upper()


@dsl.component
def finish(text: str) -> str:
    return f"it is {text}"


@dsl.pipeline(name="branches")
def branches(value: int = 5) -> str:
    measured = measure(value=value)
    with dsl.If(measured.output > 100):
        high = label(text="high")
    with dsl.Elif(measured.output > 20):
        middle = label(text="middle")
    with dsl.Else():
        low = label(text="low")
    taken = dsl.OneOf(high.output, middle.output, low.output)
    return finish(text=taken).output
