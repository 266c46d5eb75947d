from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
)

import pytest
from parameter_samples import Candidate, Mode, Search, complaint, from_text, read

from penstock.authoring.kinds.configuration import read_config
from penstock.authoring.kinds.parameters import Signature, parse_assignments
from penstock.errors import DefinitionError, ParameterError

if TYPE_CHECKING:
    from collections import Counter as Frame


def train(
    data: Path,
    search: Search,
    depth: int = 3,
    threshold: float = 0.9,
    mode: Literal["fast", "slow"] = "fast",
    when: date = None,  # noqa: RUF013  # pyright: ignore[reportArgumentType]
    seed=None,
) -> Frame: ...


def test_parameters() -> None:
    ports = [(port.name, port.type, port.required, port.default) for port in Signature.of(train).parameters]
    assert ports == [
        ("data", "Path", True, None),
        ("search", "Search", True, None),
        ("depth", "int", False, 3),
        ("threshold", "float", False, 0.9),
        ("mode", "Literal['fast', 'slow']", False, "fast"),
        ("when", "date | None", False, None),
        ("seed", "Any", False, None),
    ]


def test_defaults_in_ports_are_data() -> None:
    usual = Search([Candidate(1)], Mode.SLOW)

    def pipe(folder: Path = Path("a"), search: Search | None = usual): ...

    assert [port.default for port in Signature.of(pipe).parameters] == [
        "a",
        {
            "candidates": [{"depth": 1, "rate": 0.1}],
            "mode": "slow",
            "until": None,
            "tags": [],
            "fallback": None,
        },
    ]


def test_precedence() -> None:
    def pipe(a: int = 5, b: int = 5, c: int = 5, d: int = 5, e: int = 5): ...

    values = Signature.of(pipe).resolve(
        given={"a": 1},
        texts={"a": "2", "b": "2"},
        config={"a": 3, "b": 3, "c": 3},
        environ={f"PENSTOCK_PARAM_{name}": "4" for name in "ABCD"},
    )
    assert list(values.items()) == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]


def test_what_is_overruled_is_not_read() -> None:
    assert read(int, texts={"x": "1"}, config={"x": "no number"}, environ={"PENSTOCK_PARAM_X": "none either"}) == 1


def test_variables_for_other_pipelines_are_ignored() -> None:
    assert read(int, texts={"x": "1"}, environ={"PENSTOCK_PARAM_Y": "1", "HOME": "/"}) == 1


def test_everything_that_is_wrong_is_in_one_message() -> None:
    config = {
        "search": {
            "candidates": [{"depth": 1}, {"depht": 2}, {"depth": "3"}],
            "mode": "medium",
        },
        "rate": 1,
    }
    with pytest.raises(ParameterError) as caught:
        Signature.of(train).resolve(
            given={"mode": "medium"},
            texts={"depth": "abc", "treshold": "0.5"},
            config=config,
            config_source="conf.yaml",
            environ={"PENSTOCK_PARAM_WHEN": "soon"},
        )
    line = train.__code__.co_firstlineno
    assert caught.value.where is not None and caught.value.where.endswith(f"test_parameters.py:{line}")
    assert str(caught.value).splitlines() == [
        f"{caught.value.where}: 10 problems with the parameters of train:",
        "  data: missing; it takes a path",
        "  search.candidates[1].depht: there is no such field; did you mean 'depth'? (conf.yaml: search)",
        "  search.candidates[1].depth: missing; it takes a whole number (conf.yaml: search)",
        "  search.candidates[2].depth: expected a whole number; got the text '3' (conf.yaml: search)",
        "  search.mode: expected one of: fast, slow; got the text 'medium' (conf.yaml: search)",
        "  depth: expected a whole number; got 'abc' (-p depth=abc)",
        "  mode: expected one of: fast, slow; got 'medium' (str) (train(mode=...))",
        "  when: expected a date such as 2026-11-21, or none; got 'soon' (PENSTOCK_PARAM_WHEN)",
        "  treshold: there is no such parameter; did you mean 'threshold'? (-p treshold=0.5)",
        "  rate: there is no such parameter (conf.yaml: rate)",
        "  train takes data: Path, search: Search, depth: int, threshold: float, mode: Literal['fast', 'slow'],"
        " when: date | None, seed: Any.",
        "  Give what is missing with -p name=value, in a --config file, as PENSTOCK_PARAM_NAME, or as run(name=...).",
    ]


def test_the_message_names_the_place_it_is_told() -> None:
    with pytest.raises(
        ParameterError, match=r"^script\.py:9: 1 problem with the parameters of pipe \(declared at .*py:\d+\)"
    ):
        read(int, where="script.py:9")


def test_a_default_of_the_wrong_type_is_named_with_its_place() -> None:
    def pipe(x: int = "3"): ...  # pyright: ignore[reportArgumentType]

    signature = Signature.of(pipe)
    with pytest.raises(ParameterError, match=rf"got '3' \(str\) \(the default at .*:{pipe.__code__.co_firstlineno}\)"):
        signature.resolve(given={})
    assert signature.resolve(given={"x": 3}) == {"x": 3}


def test_long_values_are_cut_short() -> None:
    line = complaint(from_text, int, "word " * 100)
    assert len(line) < 250 and line.count("...") == 2


def test_an_annotation_that_cannot_be_resolved() -> None:
    def pipe(frame: Frame): ...

    with pytest.raises(DefinitionError) as caught:
        Signature.of(pipe)
    assert caught.value.where is not None
    assert caught.value.where.endswith(f"test_parameters.py:{pipe.__code__.co_firstlineno}")
    assert "the annotation of parameter 'frame' of pipe()" in str(caught.value)
    assert "name 'Frame' is not defined" in str(caught.value)
    assert "TYPE_CHECKING" in str(caught.value)


@dataclass
class Lost:
    frame: Frame


def test_a_field_whose_annotation_cannot_be_resolved() -> None:
    def pipe(lost: list[Lost]): ...

    with pytest.raises(DefinitionError, match=r"parameter 'lost' of pipe\(\).*the fields of Lost .*name 'Frame'"):
        Signature.of(pipe)


def test_an_annotation_that_is_no_type() -> None:
    def pipe(x: "5"): ...  # noqa: UP037  # pyright: ignore[reportGeneralTypeIssues]

    with pytest.raises(DefinitionError, match="parameter 'x' of pipe"):
        Signature.of(pipe)


def _variadic(*names: str) -> None: ...


def _keywords(**options: int) -> None: ...


def _positional(x: int, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "declared"),
    [(_variadic, r"\*names"), (_keywords, r"\*\*options"), (_positional, "x.* by position only")],
)
def test_a_pipeline_has_a_fixed_set_of_named_parameters(function: Any, declared: str) -> None:
    with pytest.raises(
        DefinitionError, match=rf"test_parameters\.py:\d+: .*{function.__name__}\(\) declares {declared}"
    ):
        Signature.of(function)


def test_assignments() -> None:
    assert parse_assignments(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert parse_assignments(["a=1", "a=2"]) == {"a": "2"}
    assert parse_assignments([]) == {}


def test_every_bad_assignment_is_named() -> None:
    with pytest.raises(ParameterError, match=r"-p depth, -p =3\n.*-p name=value"):
        parse_assignments(["depth", "a=1", "=3"])


def test_nothing_heavy_is_imported() -> None:
    code = """
import sys
from penstock.authoring.kinds.parameters import Signature
def pipe(a: int, b: list[str] | None = None): ...
Signature.of(pipe).resolve(given={}, texts={"a": "1", "b": "x,y"})
print([name for name in ("pydantic", "yaml", "tomllib", "json", "difflib", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_about_parameters_is_true(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text()
    blocks = dict(_blocks(page))
    space: dict[str, Any] = {}
    # without the pipeline's decorator, the example is plain functions and classes
    source = blocks["python"].replace("from penstock import pipeline\n", "").replace("@pipeline\n", "")
    exec(compile(source, "train.py", "exec", dont_inherit=True), space)
    config = tmp_path / "conf.yaml"
    config.write_text(blocks["yaml"])
    signature = Signature.of(space["train"])
    values = signature.resolve(given={}, texts={"data": "d.csv"}, config=read_config(config))
    assert values["search"].candidates[1].rate == 0.01
    with pytest.raises(ParameterError) as caught:
        signature.resolve(
            given={},
            texts=parse_assignments(["depth=abc", "treshold=0.5"]),
            config={"search": {"candidates": [{"depth": "3"}]}},
            config_source="conf.yaml",
        )
    assert caught.value.what.splitlines()[1:] == blocks["text"].splitlines()[1 : len(caught.value.what.splitlines())]


def _blocks(page: str) -> list[tuple[str, str]]:
    parts = page.split("```")[1::2]
    return [(language, block) for language, _, block in (part.partition("\n") for part in parts)]


def test_what_is_known_so_far_can_be_resolved_alone() -> None:
    def pipe(data: Path, depth: int, rate: float = 0.1): ...

    signature = Signature.of(pipe)
    assert signature.resolve(given={}, partial=True) == {"rate": 0.1}
    assert signature.resolve(given={}, texts={"depth": "3"}, partial=True) == {"depth": 3, "rate": 0.1}


def test_what_is_known_so_far_is_held_to_its_types_without_asking_for_the_rest() -> None:
    def pipe(data: Path, depth: int): ...

    with pytest.raises(ParameterError) as caught:
        Signature.of(pipe).resolve(given={"depth": "x", "deph": 3}, partial=True)
    assert "2 problems" in str(caught.value)
    assert "depth: expected a whole number; got 'x' (str) (pipe(depth=...))" in str(caught.value)
    assert "data: missing" not in str(caught.value)
    assert "Give what is missing" not in str(caught.value)
