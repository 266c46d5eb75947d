from prefect import flow, task
from prefect.states import Completed, Failed


@task
def judged(x: int):
    if x < 0:
        return Failed(message="negative")
    return Completed(message="fine", data=x)


@flow
def states(x: int = -1) -> list:
    bad = judged(x, return_state=True)
    good = judged.submit(1)
    good.wait()
    return [bad.is_failed(), good.state.is_completed(), good.result(), bad.type.value]
