from kfp import dsl
from kfp.dsl import PipelineTaskFinalStatus


@dsl.component
def work(amount: int) -> int:
    return amount + 1


@dsl.component
def tidy(label: str, status: PipelineTaskFinalStatus):
    print(f"{label}: {status.state}")


@dsl.component
def after_all(amount: int) -> int:
    return amount * 2


@dsl.pipeline(name="exit-handler")
def exit_handler(amount: int = 20) -> int:
    tidied = tidy(label="tidied")
    with dsl.ExitHandler(tidied):
        worked = work(amount=amount)
        after_all(amount=worked.output)
    return work(amount=amount).output
