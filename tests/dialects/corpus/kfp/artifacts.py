from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output


@dsl.component
def write(rows: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        for row in range(rows):
            file.write(f"{row},{row * 2}\n")
    data.metadata["rows"] = rows


@dsl.component
def fit(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics]) -> str:
    with open(data.path) as file:
        pairs = [tuple(map(int, line.split(","))) for line in file]
    slope = sum(y for _, y in pairs) / sum(x for x, _ in pairs)
    with open(model.path, "w") as file:
        file.write(str(slope))
    model.framework = "none"
    metrics.log_metric("slope", slope)
    return data.name


@dsl.component
def score(model: Input[Model], x: float) -> float:
    with open(model.path) as file:
        return float(file.read()) * x


@dsl.pipeline(name="artifacts")
def artifacts(rows: int = 4) -> float:
    written = write(rows=rows)
    fitted = fit(data=written.outputs["data"])
    return score(model=fitted.outputs["model"], x=2.5).output
