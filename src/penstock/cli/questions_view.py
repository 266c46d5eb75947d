"""Questions of a run as people see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.observe.outline import clip

if TYPE_CHECKING:
    from rich.console import RenderableType


def questions_view(run_id: str, questions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The open questions of a run: what is asked, what is shown with it, what is to be filled in, how to answer."""
    from rich.console import Group
    from rich.text import Text

    if not questions:
        return Text(f"run {run_id} has no open questions")
    return Group(*(part for question in questions for part in _parts(run_id, question)))


def until_when(question: Mapping[str, Any]) -> str:
    """`2026-11-21 14:05:00, then it counts as approved`; empty where there is no deadline."""
    from penstock.cli.views import when

    if not question["deadline_at"]:
        return ""
    then = {"approve": "then it counts as approved", "reject": "then it counts as rejected"}
    return f"{when(question['deadline_at'], seconds=True)}, {then.get(question['default'], 'then it fails')}"


def open_questions_view(document: Mapping[str, Any]) -> list[RenderableType]:
    """What a run waits for people to say."""
    from penstock.cli.renderables import pairs, titled

    rows = [
        (str(each["id"]), f"{each['question']}{f' (until {until})' if (until := until_when(each)) else ''}")
        for each in document.get("questions") or ()
    ]
    return titled("questions", pairs(rows)) if rows else []


def _parts(run_id: str, question: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from penstock.cli.renderables import Marked, pairs
    from penstock.cli.running import answer_command
    from penstock.cli.views import when

    yield Marked("paused", f"{question['id']}: {question['question']}")
    facts = [(name, clip(str(value), 200)) for name, value in question["inputs"].items()]
    facts.append(("asked", when(question["asked_at"])))
    if until := until_when(question):
        facts.append(("until", until))
    facts += [(f"-v {field['name']}=", _form(field)) for field in question["fields"]]
    yield Padding(pairs(facts), (0, 0, 0, 2))
    yield Text(f"  {answer_command(run_id, question)}", style="green")
    yield Text()


def _form(field: Mapping[str, Any]) -> str:
    words = [str(field["type"])]
    if not field["required"]:
        words.append(f"default {field.get('default')!r}")
    if field.get("description"):
        words.append(str(field["description"]))
    return ", ".join(words)


__all__ = ["open_questions_view", "questions_view", "until_when"]
