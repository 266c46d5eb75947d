"""What is wrong in a file of penstock's YAML is told with its place, all at once."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from penstock.errors import DefinitionError
from penstock.registering.loading import load_pipeline

CODE = "def one():\n    return 1\ndef two(a, b):\n    return a\ndef pair(one):\n    return one\n"
CODE += "def typed(count: int):\n    return count\ndef shown():\n    return {'rows': [1], 'size': 1}\n"


def _told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.py").write_text(CODE)
    (tmp_path / "flow.yaml").write_text(dedent(text))
    with pytest.raises(DefinitionError) as caught:
        load_pipeline("flow.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stages:\n  - name: one\n   timeout: 3\n", "flow.yaml:3:4: this is not YAML"),
        ("stages:\n\t- name: one\n", "Indent by spaces"),
        ("stages:\n  - {name: one, inputs: {a: ${x}}}\n", 'has to stand in quotes: {epochs: "${epochs}"}'),
        ("pipeline: x\nstages: []\n", "flow.yaml:1:1: there are no stages"),
        ("pipline: x\nstages: [{name: one}]\n", "flow.yaml:1:1: there is no 'pipline'"),
        (
            "stages:\n  - name: one\n    timout: 3\n",
            "flow.yaml:3:5: there is no 'timout' in a stage; did you mean 'timeout'?",
        ),
        ("stages:\n  - name: one\n    name: two\n", "flow.yaml:3:5: 'name' is there twice"),
        ("stages:\n  - timeout: 3\n", "flow.yaml:2:5: a stage has no name"),
        (
            "stages:\n  - name: one\n  - name: one\n",
            "flow.yaml:3:11: two stages are called 'one'; the other is in line 2",
        ),
        ("stages:\n  - name: one\n    depends_on: [onee]\n", "no stage 'onee'; did you mean 'one'?"),
        ("stages:\n  - name: one\n    depends_on: one\n", "flow.yaml:3:17: the stage 'one' waits for itself"),
        ("stages:\n  - name: three\n", "flow.yaml:2:5: there is no function 'three' in flow.py"),
        ("stages:\n  - {name: one, uses: 'flow:ome'}\n", "no function 'ome' in flow; did you mean 'one'?"),
        (
            "stages:\n  - {name: one, uses: 'nowhere.at.all:one'}\n",
            "flow.yaml:2:23: there is no module 'nowhere.at.all'",
        ),
        ("stages:\n  - {name: one, uses: one}\n", "Write module:function, or file.py:function."),
        ("stages:\n  - {name: one, run: ls, uses: 'flow:one'}\n", "says uses and run"),
        ("stages:\n  - {name: one, retries: many}\n", "retries must be a whole number from 0 up, not 'many'"),
        ("stages:\n  - {name: one, timeout: soon}\n", "flow.yaml:2:26: timeout must be a length of time"),
        ("stages:\n  - {name: one, resources: {memory: much}}\n", "memory must be a size"),
        ("stages:\n  - {name: one, resources: {cpus: 2}}\n", "no 'cpus' in resources; did you mean 'cpu'?"),
        ("stages:\n  - {name: one, join: all_succes}\n", "no join rule 'all_succes'; did you mean 'all_success'?"),
        ("stages:\n  - {name: one, cache: {enabled: false, version: '1'}}\n", "keeps a task out of the cache"),
        ("stages:\n  - name: two\n", "nothing says what the stage two takes for the parameters a, b"),
        ("stages:\n  - name: one\n  - name: pair\n", "If it is the result of one, write depends_on: [one]."),
        ("stages:\n  - name: one\n    inputs: {c: 1}\n", "one() takes no 'c'"),
        ("stages:\n  - name: one\n    map: {x: 3}\n", "map runs over a list"),
        ("stages:\n  - {name: one, repeat: {maximum: 3}}\n", "repeat is for a stage with stages:"),
        ("stages:\n  - {name: one, wait: {pol: 3}}\n", "there is no 'pol' in wait; did you mean 'poll'?"),
        ("stages:\n  - {name: one, run: 'echo ${it}'}\n", "there is no stage or parameter 'it'"),
        ("parameters: {x: int}\nstages: [{name: one}]\n", "the default of 'x' is the text 'int', or its type"),
        (
            "parameters: {x: {type: flaot}}\nstages: [{name: one}]\n",
            "'flaot' is no type of a parameter; did you mean 'float'?",
        ),
        ("parameters: {x: {type: int, default: a}}\nstages: [{name: one}]\n", "the default of 'x' is not of its type"),
        ("stages: [{name: one}]\nschedule: {cron: '0 25 * * *'}\n", "flow.yaml:2:18: "),
        (
            "stages: [{name: one}]\nschedule: {cron: '@daily', timezone: Europe/Berln}\n",
            "did you mean 'Europe/Berlin'?",
        ),
        (
            "stages: [{name: one}]\nnotifications: {on_failure: [{slak: x}]}\n",
            "no 'slak' in a notification; did you mean 'slack'?",
        ),
        ("stages: [{name: one}]\nnotifications: {on_failure: {email: nobody}}\n", "'nobody' is no e-mail address"),
        ("stages: [{name: one}]\nnotifications: {on_failure: {slack: my.site}}\n", "must begin with https://"),
        (
            "stages: [{name: one}]\nnotifications: {on_failure: {slack: {url: 'env:X', text: '{duration:zz}'}}}\n",
            "text cannot be filled in",
        ),
        # what is no YAML
        ("stages:\n  - {name: one, depends_on: [a}\n", "flow.yaml:2:29: this is not YAML: a list that begins with ["),
        ("stages:\n  - {name: one\n", "flow.yaml:2:5: this is not YAML: a mapping that begins with {"),
        ("stages:\n  - name: 'one\n", "flow.yaml:2:11: this is not YAML: a text in quotes does not end"),
        ("stages: [{name: one}]\nschedule:\n  cron: * 2 * * *\n", 'Write it in quotes, as in cron: "* * * * *".'),
        ("stages:\n  - name: one\n   timeout: 3\n", "Indent all keys of a mapping alike"),
        ("stages: [{name: one}]\n---\nstages: [{name: one}]\n", "Write each pipeline into a file of its own."),
        ("stages:\n  - name: one\n    description: a\0b\n", "flow.yaml:3:19: this is not YAML: the character #x0000"),
        # what would have been taken for something else, or for nothing
        ("stages:\n  - {name: one, environment: [A=1]}\n", "environment must be a mapping, not a list"),
        ("stages:\n  - {name: one, map: {x: [1]}}\n", "flow.yaml:2:26: one() takes no 'x'"),
        (
            "stages:\n  - {name: two, map: {a: [1], b: [1, 2]}}\n",
            "the lists to map over have different lengths: a has 1, b has 2",
        ),
        ("stages:\n  - {name: typed, inputs: {count: many}}\n", "typed() takes count: int, and is given 'many'"),
        ("stages:\n  - {name: one, retry: 3}\n", "there is no 'retry' in a stage; did you mean 'retries'?"),
    ],
)
def test_a_mistake(text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told in _told(tmp_path, monkeypatch, text)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("one >=", "  one >=\n        ^\n"),
        ("one > 1 && one < 3", "Write and for &&."),
        ("one = 1", "Write == to compare."),
        ("oen > 1", "there is no stage or parameter 'oen'; did you mean 'one'?"),
        ("len(one) > 1", "an expression cannot call len()"),
        ("one is None", "Write == or !=."),
        ("one if x else 3", "is nothing that an expression can have"),
        ("same > 1", "'same' may be the stage or the parameter"),
        ("ended(one, 'over')", "there is no state 'over'"),
    ],
)
def test_a_mistake_in_an_expression(condition: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"parameters: {{same: 1}}\nstages:\n  - name: one\n  - {{name: same, uses: 'flow:one'}}\n  - name: last\n    uses: flow:one\n    condition: {condition}\n"
    message = _told(tmp_path, monkeypatch, text)
    assert message.startswith("flow.yaml:7:")
    assert told in message


def test_the_column_is_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "stages:\n  - name: one\n  - name: pair\n    inputs: {one: '${1 + nope}'}\n"
    assert _told(tmp_path, monkeypatch, text).startswith("flow.yaml:4:26: ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("shown.rows.first", "'shown.rows.first' may be a text, or a part of shown"),
        ("shwon.rows", "there is no 'shwon.rows'; did you mean 'shown.rows'?"),
        ("shown.row", "there is no 'shown.row'; did you mean 'shown.rows'?"),
        ("parameters.size", "'parameters.size' may be a text, or a part of parameters"),
        ("${shown.roows}", "the stage 'shown' has no output 'roows'; did you mean 'rows'?"),
        ("${shown['total']}", "It has: rows, size."),
    ],
)
def test_what_all_but_names_an_output(given: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'parameters: {{size: 1}}\nstages:\n  - name: shown\n  - name: pair\n    inputs: {{one: "{given}"}}\n'
    message = _told(tmp_path, monkeypatch, text)
    assert message.startswith("flow.yaml:5:")
    assert told in message


def test_an_unknown_key_is_not_blamed_for_what_it_was_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(tmp_path, monkeypatch, "stages:\n  - name: one\n  - {name: pair, dependson: [one]}\n")
    assert "did you mean 'depends_on'?" in told
    assert "nothing says what" not in told


def test_a_cron_expression_and_its_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "stages: [{name: one}]\nschedule:\n  cron: 0 25 * * *\n  timezone: Mars/Base\n"
    told = _told(tmp_path, monkeypatch, text)
    assert "flow.yaml:3:9: in the cron expression" in told
    assert "flow.yaml:4:13: there is no time zone 'Mars/Base'" in told


def test_a_file_that_is_not_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.yaml").write_bytes("stages:\n  - name: trän\n".encode("latin-1"))
    with pytest.raises(DefinitionError, match=r"flow.yaml:2:13: the file is not UTF-8: a byte 0xe4"):
        load_pipeline("flow.yaml")


def test_no_more_is_told_than_anybody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = "".join(f"  - {{name: s{number}, rnu: ls}}\n" for number in range(150))
    told = _told(tmp_path, monkeypatch, f"stages:\n{stages}")
    assert "300 things are wrong" in told
    assert told.count("did you mean 'run'?") <= 100
    assert "and 200 more" in told


def test_what_could_be_several_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "parameters: {one: 1}\nstages: [{name: one}, {name: pair, depends_on: [one]}]\n"
    assert "the parameter 'one' of pair may be one or ${parameters.one}" in _told(tmp_path, monkeypatch, text)


def test_circles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "stages:\n  - {name: a, uses: 'flow:one', depends_on: [b]}\n  - {name: b, uses: 'flow:one', depends_on: [a]}\n"
    )
    assert "the stages wait for each other in a circle: " in _told(tmp_path, monkeypatch, text)


def test_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
    pipeline: {name: x, paramters: {}}
    stages:
      - name: one
        timout: 3
      - name: pair
        depends_on: [two]
        condition: one >
    schedule: {cron: never}
    """
    told = _told(tmp_path, monkeypatch, text)
    assert told.startswith("flow.yaml:1:21: 5 things are wrong in flow.yaml")
    places = [f"  flow.yaml:{place}: " for place in ("1:21", "4:5", "6:18", "7:21", "8:18")]
    assert [place for place in places if place in told] == places
