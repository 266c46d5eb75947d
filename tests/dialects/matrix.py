"""Every pipeline of the corpus, written in every dialect, read back, and run: what becomes of each.

`python tests/dialects/matrix.py` writes the table in docs/dialects.md; the tests say when it is out of date.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

CORPUS = Path(__file__).with_name("corpus")
PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
#: between which the page is written by this program
BEGIN, END = "<!-- the matrix begins -->", "<!-- the matrix ends -->"
#: seconds for one of them
PATIENCE = 60
GRADES = ("exact", "equivalent", "changed", "opaque")


class Case(NamedTuple):
    """A pipeline of the corpus."""

    dialect: str
    file: Path
    expected: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.file.stem


class Cell(NamedTuple):
    """What became of a pipeline in a dialect."""

    #: the worst grade of its nodes; `refused` where it cannot be said, and `wrong` where something is broken
    grade: str
    #: why it was refused, or what is wrong
    why: str = ""
    #: whether it was read back and gave the same; None where penstock does not read that dialect
    same: bool | None = None


def cases() -> list[Case]:
    """The pipelines of the corpus."""
    found: list[Case] = []
    for told in sorted(CORPUS.glob("*/*.json")):
        files = [file for suffix in (".yaml", ".yml", ".py") if (file := told.with_suffix(suffix)).exists()]
        if files:
            found.append(Case(told.parent.name, files[0], json.loads(told.read_text())))
    return found


def writers() -> list[str]:
    """The dialects that are written."""
    from penstock.dialects.recognition import writable

    return writable()


def title(dialect: str) -> str:
    from penstock.dialects.recognition import named

    return named(dialect).title


# One pipeline at a time, each in a process of its own.


def apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What some work answers in a process of its own, which is gone afterwards with all that it has loaded."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(PATIENCE)
        answer: dict[str, Any]
        try:
            answer = work()
            answer["modules"] = sorted(name for name in sys.modules if name.startswith("penstock."))
        except BaseException as error:
            answer = {"fault": "".join(traceback.format_exception(error))[-2000:]}
        with os.fdopen(write, "w") as sink:
            json.dump(answer, sink, default=repr)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as source:
        text = source.read()
    _, status = os.waitpid(child, 0)
    if not text:
        return {"fault": f"its process ended with {os.waitstatus_to_exitcode(status)}"}
    answer = json.loads(text)
    for name in answer.pop("modules", ()):
        # so that the next one has it already
        importlib.import_module(name)
    return answer


@contextlib.contextmanager
def _surroundings(case: Case) -> Iterator[Path]:
    """A folder of its own with the pipeline in it, for the process."""
    with tempfile.TemporaryDirectory(prefix="penstock-matrix-") as folder:
        shutil.copytree(case.file.parent, folder, dirs_exist_ok=True)
        os.chdir(folder)
        os.environ["PENSTOCK_HOME"] = str(Path(folder, ".penstock"))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        yield Path(folder)


def _target(case: Case) -> str:
    name = case.expected.get("pipeline")
    return f"{case.file.name}:{name}" if name else case.file.name


def _ran(target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    from penstock.registering.loading import load_pipeline

    pipeline = load_pipeline(target)
    return pipeline.options(executor="inline", progress=False).run(**parameters).document


def read(case: Case) -> dict[str, Any]:
    """The run document of a pipeline as it stands."""
    with _surroundings(case):
        return _ran(_target(case), case.expected.get("parameters", {}))


def written(case: Case, writer: str) -> dict[str, Any]:
    """How a pipeline is written in a dialect."""
    from penstock.errors import DefinitionError
    from penstock.registering.exporting import exported
    from penstock.registering.loading import load_pipeline

    with _surroundings(case):
        try:
            return {"text": exported(load_pipeline(_target(case)), writer, stem=case.name).written.text}
        except DefinitionError as error:
            return {"refused": error.what}


def rewritten(case: Case, writer: str) -> dict[str, Any]:
    """How a pipeline is written in a dialect, and the run document of what was written."""
    from penstock.dialects.recognition import dialect_of, named
    from penstock.errors import DefinitionError
    from penstock.registering.exporting import exported
    from penstock.registering.loading import load_pipeline

    with _surroundings(case) as folder:
        stem = f"{case.name}_in_{writer}"
        pipeline = load_pipeline(_target(case))
        try:
            written = exported(pipeline, writer, stem=stem).written
        except DefinitionError as error:
            return {"refused": error.what}
        file = folder / f"{stem}{'.py' if _is_python(written.text) else '.yaml'}"
        file.write_text(written.text)
        for name, text in written.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        answer: dict[str, Any] = {"grade": _worst([each.grade for each in written.accounts])}
        if named(writer).read is None and writer != "penstock":
            return answer
        recognised = dialect_of(file)
        if (recognised.name if recognised is not None else "penstock") != writer:
            return {**answer, "fault": f"what was written is recognised as {recognised}"}
        try:
            answer["document"] = _ran(_target_in(file, pipeline.name), case.expected.get("parameters", {}))
        except BaseException as error:
            told = traceback.format_exception(error)
            answer["fault"] = "".join(told)[-2000:] + written.text[-3000:]
        return answer


def _target_in(file: Path, name: str) -> str:
    """What names the pipeline that was written to a file, which may hold others that are parts of it."""
    from penstock.errors import TargetError
    from penstock.registering.loading import load_pipeline

    try:
        load_pipeline(str(file))
    except TargetError:
        return f"{file}:{name}"
    return str(file)


def _is_python(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(each, (ast.Import, ast.ImportFrom)) for each in tree.body)


def _worst(grades: list[str]) -> str:
    return max(grades, key=GRADES.index, default="exact")


# Compared.


def values_of(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a run, comparable: what is small and plain as itself, anything else by its digest."""
    return {
        name: json.dumps(each["value"], sort_keys=True)
        if each.get("value") is not None
        else each.get("digest") or "null"
        for name, each in outputs.items()
    }


def same_outputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a run gave what another one did. Where the dialect has no result of a whole pipeline, a task of it has to."""
    wanted, outputs = values_of(before["outputs"]), values_of(after["outputs"])
    if wanted == outputs:
        return True
    return all(value == "null" or value in {*outputs.values(), *_made_by(after)} for value in wanted.values())


def _made_by(document: Mapping[str, Any]) -> Iterator[str]:
    """What the tasks of a run made, what is in the fields of its outputs, and what all items of a fan-out made together."""
    items: dict[str, list[Any]] = {}
    for task in document["tasks"]:
        outputs = task.get("outputs") or {}
        yield from values_of(outputs).values()
        made = outputs.get("result", {}).get("value")
        # made by none, for an item of items
        items.setdefault(re.sub(r"\[[^\]]*\]$", "", task["id"]), []).append(made)
    for each in (output.get("value") for output in document["outputs"].values()):
        if isinstance(each, dict):
            yield from (json.dumps(value, sort_keys=True) for value in each.values())
    yield from (json.dumps(values, sort_keys=True) for values in items.values())


def cell(case: Case, writer: str, before: Mapping[str, Any]) -> Cell:
    answer = apart(lambda: rewritten(case, writer))
    if "fault" in answer:
        return Cell("wrong", answer["fault"])
    if "refused" in answer:
        return Cell("refused", answer["refused"])
    if "document" not in answer:
        return Cell(answer["grade"])
    same = same_outputs(before, answer["document"]) and answer["document"]["state"] == before["state"]
    if same or answer["grade"] in ("changed", "opaque"):
        return Cell(answer["grade"], same=same)
    told = f"{values_of(before['outputs'])} became {values_of(answer['document']['outputs'])}"
    return Cell("wrong", f"{told}, {answer['document']['state']}", same=False)


Matrix = dict[tuple[str, str], dict[str, Cell]]


def matrix() -> Matrix:
    """What becomes of each pipeline, by its dialect and name, in each dialect."""
    found: Matrix = {}
    for case in cases():
        before = apart(lambda case=case: read(case))
        wrong = Cell("wrong", str(before.get("fault")))
        found[case.dialect, case.name] = {
            writer: wrong if "fault" in before else cell(case, writer, before) for writer in writers()
        }
    return found


# As a page.


#: why something is refused -> pipeline -> in which dialects
Reasons = dict[str, dict[str, list[str]]]


def page_of(found: Matrix) -> str:
    """The part of the page that is made of the matrix."""
    columns = list(next(iter(found.values()), {}))
    lines = ["| file | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    reasons: Reasons = {}
    for (dialect, name), cells in found.items():
        told = [_told(cells[column], reasons, f"{dialect}/{name}", column) for column in columns]
        lines.append(f"| {dialect}/{name} | " + " | ".join(told) + " |")
    counts = Counter(each.grade for cells in found.values() for each in cells.values())
    read_back = sum(each.same is True for cells in found.values() for each in cells.values())
    total = ", ".join(f"{counts[grade]} {grade}" for grade in (*GRADES, "refused", "wrong") if counts[grade])
    lines += ["", f"{len(found)} pipelines: {total}; {read_back} were read back and gave the same."]
    if reasons:
        lines += ["", "What is refused, and why:", ""]
        lines += [f"- {why}: {'; '.join(_places(where))}" for why, where in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def _places(where: Mapping[str, list[str]]) -> Iterator[str]:
    return (f"{row} in {', '.join(columns)}" for row, columns in where.items())


def _told(cell: Cell, reasons: Reasons, row: str, column: str) -> str:
    if cell.grade == "refused":
        # which node it is, and in which dialect, the place says
        why = re.sub(r"^'[^']*' cannot be written for [^:]+: ", "", " ".join(cell.why.split()))
        why = re.sub(r"^what \S+ does from here on", "what follows", why)
        reasons.setdefault(why, {}).setdefault(row, []).append(column)
    return {True: f"{cell.grade}, same", None: cell.grade, False: f"{cell.grade}, differs"}[cell.same]


def page(found: Matrix, before: str) -> str:
    """The page with the matrix in it."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{page_of(found)}\n{END}{tail}"


def main() -> None:
    found = matrix()
    text = page(found, PAGE.read_text("utf-8"))
    changed = text != PAGE.read_text("utf-8")
    PAGE.write_text(text, "utf-8")
    for (dialect, name), cells in found.items():
        for writer, each in cells.items():
            if each.grade == "wrong":
                print(f"{dialect}/{name} in {writer}: {each.why}\n", file=sys.stderr)
    print(f"{PAGE}: {'written' if changed else 'as it was'}")


if __name__ == "__main__":
    main()
