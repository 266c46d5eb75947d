"""A release that a person has to approve; nothing heavy is imported."""

from __future__ import annotations

from penstock import Approval, approval, pipeline, task


@task
def train() -> str:
    return "model-7"


@task
def deploy(model: str, answer: Approval) -> str:
    return f"{model} at {answer.values['traffic']:.0%}, says {answer.by}"


@pipeline
def release() -> str:
    model = train()
    answer = approval("Ship this model?", name="sign_off", form={"traffic": float})(model=model)
    return deploy(model, answer)
