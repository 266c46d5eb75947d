from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from penstock.authoring.kinds.configuration import read_config
from penstock.errors import ParameterError

YAML = """
depth: 3
rate: 1e-3
whole: 1_000
octal: 0o17
code: 010
ratio: 12:30
when: 2026-11-21
flag: yes
nothing: ~
infinite: -.inf
base: &base {a: 1, b: 2}
derived:
  <<: *base
  b: 3
"""


def test_yaml(tmp_path: Path) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text(YAML)
    assert read_config(path) == {
        "depth": 3,
        "rate": 0.001,
        "whole": 1000,
        "octal": 15,
        "code": "010",
        "ratio": "12:30",
        "when": "2026-11-21",
        "flag": True,
        "nothing": None,
        "infinite": float("-inf"),
        "base": {"a": 1, "b": 2},
        "derived": {"a": 1, "b": 3},
    }


def test_reading_yaml_leaves_the_users_yaml_alone(tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "conf.yaml"
    path.write_text(YAML)
    read_config(path)
    assert yaml.safe_load("a: 2026-11-21\nb: 010") == {"a": date(2026, 11, 21), "b": 8}


def test_json_and_toml(tmp_path: Path) -> None:
    one, two = tmp_path / "a.json", tmp_path / "b.TOML"
    one.write_text('\ufeff{"depth": 3, "when": "2026-11-21"}', encoding="utf-8")
    two.write_text("depth = 3\nwhen = 2026-11-21\n[search]\nmode = 'slow'\n")
    assert read_config(one) == {"depth": 3, "when": "2026-11-21"}
    assert read_config(two) == {"depth": 3, "when": date(2026, 11, 21), "search": {"mode": "slow"}}


def test_an_empty_yaml_file_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "conf.yml"
    path.write_text("# nothing yet\n")
    assert read_config(path) == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "a: 1\nb: [1, 2\nc: 3\n", r"a\.yaml:3:\d+: this is not YAML: "),
        (
            "a.yaml",
            "a: !!python/object:os.system {}\n",
            r"a\.yaml:1:4: this is not YAML: could not determine a constructor",
        ),
        ("a.yaml", "a: 1\n---\nb: 2\n", r"a\.yaml:2:1: this is not YAML: "),
        ("a.yaml", "a: !!int x\n", r"a\.yaml: this is not YAML: "),
        ("a.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", r"a\.yaml:4:3: the key 'c' is there twice"),
        ("a.yaml", "- 1\n", r"a\.yaml: .*a mapping of parameter names to values, and this is the list \[1\]"),
        ("a.yaml", "on: 1\n", r"a\.yaml: not a parameter name: true\n.*quotes"),
        ("a.json", '{\n  "a": 1,\n}', r"a\.json:\d+:\d+: this is not JSON: "),
        ("a.json", "", r"a\.json:1:1: this is not JSON: "),
        ("a.json", '{"a": 1, "a": 2}', r"a\.json: the key 'a' is there twice"),
        ("a.json", "null", r"a\.json: .*and this is null"),
        ("a.toml", "a = 1\nb = \n", r"a\.toml:2:\d+: this is not TOML: "),
        ("a.toml", 'a = """', r"a\.toml:1:\d+: this is not TOML: "),
        ("a.ini", "a = 1", r"a\.ini: .*'\.ini' is not known\n.*\.yaml"),
    ],
)
def test_bad_configuration_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ParameterError, match=message):
        read_config(path)


def test_configuration_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"missing\.yaml: .*No such file"):
        read_config(tmp_path / "missing.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ParameterError, match=r"folder\.yaml: .*directory"):
        read_config(tmp_path / "folder.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(ParameterError, match=r"latin\.yaml: .*not UTF-8"):
        read_config(tmp_path / "latin.yaml")
