from kfp import dsl


@dsl.component
def extract(count: int) -> list:
    return [number * number for number in range(count)]


@dsl.component(base_image="python:3.11-slim")
def total(values: list, scale: float = 1.0) -> float:
    return float(sum(values)) * scale


@dsl.component
def describe(amount: float, unit: str) -> str:
    return f"{amount:.1f} {unit}"


@dsl.pipeline(name="chain", description="One after the other.")
def chain(count: int = 5, unit: str = "kWh") -> str:
    extracted = extract(count=count)
    summed = total(values=extracted.output, scale=0.5)
    return describe(amount=summed.output, unit=unit).output
