from kfp import dsl


@dsl.component
def add(a: int, b: int) -> int:
    return a + b


@dsl.component
def square(x: int) -> int:
    return x * x


@dsl.pipeline(name="inner")
def inner(x: int, y: int = 2) -> int:
    first = add(a=x, b=y)
    return square(x=first.output).output


@dsl.pipeline(name="nested-pipeline")
def nested_pipeline(x: int = 1) -> int:
    one = inner(x=x)
    two = inner(x=one.output, y=1).after(one)
    return add(a=one.output, b=two.output).output
