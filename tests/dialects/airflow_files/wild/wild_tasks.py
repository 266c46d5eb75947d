"""What several DAGs of a folder share: tasks, operators, callbacks. It imports Airflow itself."""

from airflow.decorators import task
from airflow.exceptions import AirflowFailException
from airflow.models.baseoperator import BaseOperator

TOLD = []


def doubled(number):
    return 2 * number


@task
def train(number):
    return doubled(number)


@task
def check(number):
    if number > 5:
        raise AirflowFailException(f"{number} is too many")
    return number


def tell(context):
    TOLD.append((context["task_instance"].task_id, context["ti"].xcom_pull(task_ids="train")))


class Loading(BaseOperator):
    """Loads a table, and pushes how many rows there were."""

    template_fields = ("table",)

    def __init__(self, table, rows=1, **kwargs):
        super().__init__(**kwargs)
        self.table = table
        self.rows = rows

    def execute(self, context):
        context["ti"].xcom_push(key="rows", value=self.rows)
        return f"{self.table} for {context['params'].get('who', 'all')}"
