from kfp import dsl
from kfp.dsl import InputPath, OutputPath


@dsl.component
def write(lines: int, log: OutputPath("Dataset"), count: OutputPath(int)):
    with open(log, "w") as file:
        file.write("line\n" * lines)
    with open(count, "w") as file:
        file.write(str(lines))


@dsl.component
def read(log: InputPath("Dataset"), count: int) -> bool:
    with open(log) as file:
        return len(file.readlines()) == count


@dsl.pipeline(name="paths")
def paths(lines: int = 3) -> bool:
    written = write(lines=lines)
    return read(log=written.outputs["log"], count=written.outputs["count"]).output
