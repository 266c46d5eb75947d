"""Small flows: the text, what it gives (None for nothing), how its tasks end."""

from __future__ import annotations

BODIES = {
    "values of another flow": (
        "@task\ndef same(x): return {'id': x}\n@flow\ndef part():\n    return [same.submit(x).result() for x in (1, 1, 2)]\n"
        "@flow\ndef f():\n    found = part()\n    return [len({each['id'] for each in found}), len(set(each['id'] for each in part()))]\n",
        [2, 2],
        {
            "part/same": "succeeded",
            "part/same-2": "cached",
            "part/same-3": "succeeded",
            "part-2/same": "cached",
            "part-2/same-2": "cached",
            "part-2/same-3": "cached",
        },
    ),
    "the name of the flow in a task": (
        "from prefect.runtime import flow_run\n@task\ndef named(): return flow_run.flow_name\n@flow\ndef f(): named()\n",
        None,
        {"named": "failed"},
    ),
    "an artifact that is not awaited": (
        "from prefect.artifacts import create_markdown_artifact as create\n@flow\nasync def f():\n"
        "    create('text', _sync=True)\n    return 1\n",
        1,
        {"artifact-markdown": "succeeded"},
    ),
    "a dict under numbers": (
        "@task\ndef same(x): return x\n@flow\ndef f():\n    found = {x: same(x) for x in (1, 2)}\n"
        "    return [same(found)[2], same({3: same.submit(4)})[3]]\n",
        [2, 4],
        dict.fromkeys(["same", "same-2", "same-3", "same-4", "same-5"], "succeeded"),
    ),
    "a failure that nobody looks at": (
        "@task\ndef bad(): raise ValueError\n@flow\ndef f():\n    bad.submit()\n    return 1\n",
        1,
        {"bad": "failed"},
    ),
    "a state that is returned": (
        "from prefect.states import Failed\n@flow\ndef f():\n    return Failed(message='no')\n",
        None,
        {},
    ),
    "futures that are returned": (
        "@task\ndef half(x): return 6 // x\n@flow\ndef f():\n    return [half.submit(x) for x in (1, 0)]\n",
        None,
        {"half": "succeeded", "half-2": "failed"},
    ),
    "what comes after a failure": (
        "@task\ndef bad(): raise ValueError\n@task\ndef after(): ...\n@flow\ndef f():\n    bad()\n    after()\n",
        None,
        {"bad": "failed", "after": "upstream_failed"},
    ),
    "a failure outside of the try": (
        "@task\ndef bad(x): raise ValueError\n@flow\ndef f():\n    bad(1)\n"
        "    try:\n        bad(2)\n    except ValueError:\n        return 'caught'\n",
        None,
        {"bad": "failed"},
    ),
    "a failure in a helper": (
        "@task\ndef bad(x): raise ValueError('it is bad')\ndef tried(x):\n    try:\n        bad(x)\n"
        "    except ValueError as error:\n        return str(error)\n@flow\ndef f():\n    return tried(1)\n",
        "it is bad",
        {"bad": "failed"},
    ),
    "the state of a subflow": (
        "@task\ndef bad(): raise ValueError\n@flow\ndef inner(): bad()\n@flow\ndef f():\n"
        "    state = inner(return_state=True)\n    return [state.is_failed(), state.name]\n",
        [True, "Failed"],
        {"inner/bad": "failed"},
    ),
    "a fan-out with a failure": (
        "@task\ndef half(x): return 6 // x\n@flow\ndef f():\n    half.map([1, 0])\n",
        None,
        {"half[0]": "succeeded", "half[1]": "failed"},
    ),
    "waiting for what failed": (
        "@task\ndef bad(): raise ValueError\n@task\ndef good(): ...\n@flow\ndef f():\n    b = bad.submit()\n"
        "    g = good.submit(wait_for=[b])\n    return [g.state.is_completed(), b.state.message]\n",
        [False, "ValueError: "],
        {"bad": "failed", "good": "upstream_failed"},
    ),
    "a text for a number": (
        "@task\ndef same(x): return x\n@flow\ndef inner(x: int): return same(x)\n@flow\ndef f(): return inner('5')\n",
        5,
        {"inner/same": "succeeded"},
    ),
    "a name made of arguments": (
        "@task(task_run_name='is {x}')\ndef same(x): return x\n@flow\ndef f(x: int = 3):\n"
        "    same(x)\n    return same.with_options(name='other', task_run_name=None)(4)\n",
        4,
        {"is 3": "succeeded", "other": "succeeded"},
    ),
    "a task in a task": (
        "@task\ndef inner(x): return x + 1\n@task\ndef outer(x): return inner(x) * 10\n@flow\ndef f(): return outer(1)\n",
        20,
        {"outer": "succeeded"},
    ),
    "a timeout": (
        "import time\n@task(timeout_seconds=0.05)\ndef slow(): time.sleep(5)\n@flow\ndef f():\n"
        "    try:\n        slow()\n    except TimeoutError:\n        return 'late'\n",
        "late",
        {"slow": "failed"},
    ),
    "futures of Prefect 2": (
        "@task\nasync def same(x): return x\n@flow\nasync def f():\n    future = await same.submit(3)\n"
        "    return await future.result()\n",
        3,
        {"same": "succeeded"},
    ),
}

#: what is not covered, and what the error names
REFUSED = {
    "from prefect.workers.base import BaseWorker\nclass Own(BaseWorker): ...": "prefect.workers.base.BaseWorker",
    "from prefect.events import Resource\n@flow\ndef f(): return Resource": "prefect.events.Resource",
    "import prefect\n@prefect.taks\ndef t(): ...": "prefect.taks",
    "from prefect import Parameter": "prefect.Parameter",
    "from prefect.automations import Automation\n@task\ndef t(): Automation.read(name='a')\n@flow\ndef f(): t()": "Automation, which t uses",
    "from prefect.events import DeclareIncident\nDeclareIncident()": "the action DeclareIncident",
    "@task\ndef t(): ...\nt.delay()": r"t\.delay\(\)",
    "from prefect.schedules import Cron\nCron('0 9 * * *', day_or=False)": "day_or=False",
    "flow.from_source('https://example.org/r.git', entrypoint='a.py:f')": "from_source",
}
