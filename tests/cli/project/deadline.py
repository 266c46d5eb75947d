"""Approvals that do not wait for ever."""

from __future__ import annotations

from penstock import approval, pipeline


@pipeline
def soon() -> str:
    return approval("Ship it?", name="sign_off", deadline=0.3, default="approve")().by


@pipeline
def later() -> str:
    return approval("Ship it?", name="sign_off", deadline=3600, default="reject", on_reject="return")().by


@pipeline
def review(number: int) -> bool:
    return approval(f"Keep {number}?", name="keep")().approved


@pipeline
def reviews() -> list[bool]:
    return review.map([1, 2])
