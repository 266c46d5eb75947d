from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.dialects.airflow.configuration import conf
from penstock.dialects.airflow.connections import Connection, ConnectionAccessor, get_connection
from penstock.dialects.airflow.exceptions import AirflowConfigException, AirflowException, AirflowNotFoundException
from penstock.dialects.airflow.variables import Variable, accessors
from penstock.errors import DefinitionError
from penstock.secrets import masking


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("PENSTOCK_HOME", "AIRFLOW_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "penstock.toml").write_text("")
    yield tmp_path


def test_a_variable_of_the_environment_goes_before_all_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "airflow_variables.json").write_text('{"region": "from the file", "shape": {"a": [1]}}')
    assert Variable.get("region") == "from the file"
    Variable.set("region", "as it was set")
    assert Variable.get("region") == "as it was set"
    monkeypatch.setenv("AIRFLOW_VAR_REGION", "from the environment")
    assert Variable.get("region") == "from the environment"
    assert Variable.get("shape", deserialize_json=True) == {"a": [1]}
    assert json.loads(Variable.get("shape")) == {"a": [1]}


def test_a_variable_that_is_not_there_says_where_it_is_looked_for() -> None:
    with pytest.raises(KeyError, match="AIRFLOW_VAR_NOWHERE"):
        Variable.get("nowhere")
    assert Variable.get("nowhere", None) is None
    assert Variable.get("nowhere", default_var="old") == "old"
    assert Variable.get("nowhere", default="new") == "new"


def test_variables_that_are_set_stay_and_may_be_deleted(project: Path) -> None:
    (project / "variables.yaml").write_text("kept: 1\nforgotten: 2\n")
    Variable.set("fresh", {"n": 3}, serialize_json=True)
    assert Variable.get("fresh", deserialize_json=True) == {"n": 3}
    assert Variable.delete("forgotten") == 1
    assert Variable.get("forgotten", "gone") == "gone"
    assert Variable.delete("forgotten") == 0
    assert Variable.keys() == ["fresh", "kept"]
    assert Variable.keys("f") == ["fresh"]
    assert Variable.setdefault("kept", "other") == "1"
    assert Variable.setdefault("more", "value") == "value" == Variable.get("more")
    file = project / ".penstock" / "airflow" / "variables.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_templates_find_variables_by_attribute_and_by_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TABLE", '{"rows": 4}')
    var = accessors()
    assert var["json"].table == {"rows": 4}
    assert var["value"].table == '{"rows": 4}'
    assert var["value"].get("nothing", "else") == "else"


def test_variables_and_connections_of_the_settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "penstock.toml").write_text(
        '[airflow.variables]\napi_key = { secret = "env:HIDDEN" }\n'
        '[airflow.connections.db]\nconn_type = "postgres"\nhost = "db"\nport = 5432\n'
        'password = { secret = "env:HIDDEN_TOO" }\n'
    )
    monkeypatch.setenv("HIDDEN", "canary-of-a-variable")
    monkeypatch.setenv("HIDDEN_TOO", "canary-of-a-connection")
    assert Variable.get("api_key") == "canary-of-a-variable"
    found = get_connection("db")
    assert (found.conn_type, found.host, found.port, found.password) == (
        "postgres",
        "db",
        5432,
        "canary-of-a-connection",
    )
    assert masking.mask("a canary-of-a-variable, a canary-of-a-connection") == "a ***, a ***"


def test_a_connection_as_a_uri_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "my-sql://user%40x:p%2Fss-wörd-77@host.example:3306/schema%20x?charset=utf8&ssl=1"
    monkeypatch.setenv("AIRFLOW_CONN_ONE", uri)
    one = get_connection("one")
    assert (one.conn_type, one.login, one.password) == ("my_sql", "user@x", "p/ss-wörd-77")
    assert (one.host, one.port, one.schema) == ("host.example", 3306, "schema x")
    assert one.extra_dejson == {"charset": "utf8", "ssl": "1"}
    again = Connection("again", uri=one.get_uri())
    assert again.to_dict() | {"conn_id": "one"} == one.to_dict()
    monkeypatch.setenv(
        "AIRFLOW_CONN_TWO",
        json.dumps({"conn_type": "http", "host": "https://x.example", "extra": {"api_token": "canary-in-extra"}}),
    )
    two = get_connection("two")
    assert two.extra_dejson["api_token"] == "canary-in-extra"
    assert masking.mask("with canary-in-extra and p%2Fss-w%C3%B6rd-77") == "with *** and ***"
    assert Connection.from_json(two.as_json(), "two").to_dict() == two.to_dict()
    assert Connection("three", uri="http://https://h.example:8080/").host == "https://h.example"
    assert "canary" not in repr(two)


def test_connections_of_a_file_and_those_that_are_not_there(project: Path) -> None:
    (project / "airflow_connections.yaml").write_text("lake:\n  conn_type: aws\n  login: key\nold: http://host:80\n")
    assert get_connection("lake").login == "key"
    assert get_connection("old").port == 80
    with pytest.raises(AirflowNotFoundException, match="AIRFLOW_CONN_NOWHERE"):
        get_connection("nowhere")
    accessor = ConnectionAccessor()
    assert accessor.lake.conn_type == "aws"
    assert accessor.get("nowhere", "nothing") == "nothing"


@pytest.mark.parametrize("uri", ["a://b://c://d", "http://user@b://host", "http://host:port-canary"])
def test_uris_that_are_none_are_not_shown(uri: str) -> None:
    with pytest.raises(AirflowException) as raised:
        Connection("x", uri=uri)
    assert "canary" not in str(raised.value) and "user" not in str(raised.value)


def test_files_that_cannot_be_read_are_named(project: Path) -> None:
    (project / "variables.json").write_text("- a\n- list")
    with pytest.raises(DefinitionError, match=r"variables.json: the file has to be a table"):
        Variable.get("x")


def test_the_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert conf.get("core", "default_timezone") == "utc"
    assert conf.get("core", "dags_folder") == str(project)
    assert conf.get("core", "dag_concurrency") == "16"
    monkeypatch.setenv("AIRFLOW_HOME", "/af")
    assert conf.get("core", "dags_folder", fallback="") == "/af/dags"
    assert conf.get("core", "base_log_folder") == "/af/logs"
    monkeypatch.delenv("AIRFLOW_HOME")
    (project / "airflow.cfg").write_text("[core]\ndags_folder = /dags\nparallelism = 8\n[own]\nrate = 5%%\n")
    assert conf.get("core", "dags_folder") == "/dags"
    assert conf.getint("core", "parallelism") == 8
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "9")
    assert conf.getfloat("CORE", "Parallelism") == 9.0
    assert conf.getboolean("core", "load_examples") is False
    assert conf.get("own", "nothing", fallback=None) is None
    assert conf.has_option("own", "rate") and (conf.getsection("own") or {})["rate"] == "5%%"
    with pytest.raises(AirflowConfigException, match="AIRFLOW__OWN__NOTHING"):
        conf.get("own", "nothing")
    with pytest.raises(AirflowConfigException, match="is a number"):
        conf.getint("core", "dags_folder")
