"""More of the sample project: models, checks, what is installed beside it, a script and a notebook."""

from __future__ import annotations

from typing import Final

MODELS: Final = {
    "bikes/models/__init__.py": "",
    "bikes/models/config.py": """
        from dataclasses import dataclass, field

        DEPTHS = (1, 2)


        def layers():
            return [8, 4]


        @dataclass
        class Config:
            rate: float = 0.5
            rounds: int = 3
            layers: list[int] = field(default_factory=layers)


        CONFIG = Config(rate=0.25)
    """,
    "bikes/models/registry.py": """
        class Registered(type):
            def __call__(cls, *args):
                made = super().__call__(*args)
                made.registered = True
                return made


        class Rounding:
            def __set_name__(self, owner, name):
                self.name = "_" + name

            def __get__(self, instance, owner):
                return round(getattr(instance, self.name), 3)

            def __set__(self, instance, value):
                setattr(instance, self.name, value)
    """,
    "bikes/models/linear.py": """
        from bikes.models.registry import Registered, Rounding


        class Linear(metaclass=Registered):
            known = {}
            slope = Rounding()

            def __init__(self, rate):
                self.slope = rate

            def fit(self, vectors):
                for vector in vectors:
                    self.slope = self.slope + self.step(vector)
                return self

            def step(self, vector):
                return vector[1] * 0.01


        def known_as(name):
            def decorate(kind):
                Linear.known[name] = kind
                return kind

            return decorate


        @known_as("steep")
        class Steep(Linear):
            def step(self, vector):
                return super().step(vector) * 2


        def shrink(self):
            return self.slope * 0.5


        Linear.shrink = shrink
        Linear.floor = 0.0
    """,
    "bikes/models/loss.py": """
        from bikes.settings import SHIFT

        POWER = 2
        BOUNDS = {"low": 0}
        BOUNDS["high"] = 100


        def squared(x):
            return min(x**POWER, BOUNDS["high"]) + SHIFT - squared.less


        squared.less = 0


        def absolute(x):
            return abs(x)
    """,
    "bikes/models/penalties.py": """
        PENALTIES = {}


        def penalty(name):
            def register(function):
                PENALTIES[name] = function
                return function

            return register


        @penalty("none")
        def none(slope):
            return 0.0


        @penalty("large")
        def large(slope):
            return slope
    """,
    "bikes/models/training.py": """
        from typing import NamedTuple

        from bikes.models.config import CONFIG, DEPTHS
        from bikes.models.linear import Linear
        from bikes.names import Model
        from penstock import task


        class Trained(NamedTuple):
            model: Model
            loss: float


        @task
        def train(vectors: list[list[float]], depth: int = 1) -> Trained:
            from bikes.models import loss as losses
            from bikes.models.penalties import PENALTIES

            fitted = Linear.known["steep"](CONFIG.rate)
            for _ in range(CONFIG.rounds):
                fitted.fit(vectors)
            slope = max(fitted.shrink(), Linear.floor)
            return Trained({"slope": slope, "depth": DEPTHS[depth - 1]}, losses.squared(slope) + PENALTIES["none"](slope))
    """,
    "bikes/models/scoring.py": """
        import bikes.settings
        from bikes.names import Row, Model
        from penstock import task


        @task
        def score(row: "Row", model: "Model") -> float:
            return max(model["slope"] * row.rides, bikes.settings.LOWEST)
    """,
    "bikes/reporting/__init__.py": "",
    "bikes/reporting/text.py": """
        from bikes.settings import SIGNS


        def line(level, price):
            return f"{SIGNS[price > 0]}{level} {price:.2f}"


        def banner(text):
            return text.upper()
    """,
    "bikes/money.py": """
        import rates
        from penstock import task
        from tariffs import base


        @task
        async def fee(station: str) -> int:
            return base.fee(station)


        @task
        def cost(fee: int) -> float:
            return rates.convert(fee)
    """,
    "bikes/audit.py": """
        from functools import cache, singledispatch

        from bikes.names import Row
        from penstock import task


        @singledispatch
        def described(value):
            return "?"


        @described.register
        def _(value: int):
            return f"{value} rides"


        def limit(row):
            return row.rides > limit.most


        limit.most = 18


        @cache
        def total(count):
            return count + 1


        class Checks:
            pass


        CHECKS = Checks()
        CHECKS.strict = True


        @task
        def audit(rows: list[Row]) -> list[str]:
            found = [row for row in rows if limit(row) and CHECKS.strict]
            return [described(row.rides) for row in found] + [str(total(len(found)))]
    """,
}

INSTALLED: Final = {
    "site-packages/rates/__init__.py": """
        def convert(fee):
            return fee * 1.5
    """,
    "site-packages/rates-1.2.dist-info/METADATA": "Name: rates\n",
    "site-packages/rates-1.2.dist-info/RECORD": "rates/__init__.py,,\n",
    "site-packages/other-0.1.dist-info/METADATA": "Name: other\n",
    "site-packages/tariffs.pth": "../tariffs-source\n",
    "site-packages/tariffs-1.0.dist-info/METADATA": "Name: tariffs\n",
    "site-packages/tariffs-1.0.dist-info/RECORD": "tariffs.pth,,\n",
    "tariffs-source/tariffs/__init__.py": "",
    "tariffs-source/tariffs/base.py": """
        FEES = {"north": 2}


        def fee(station):
            return FEES.get(station, 1)
    """,
}

SCRIPTS: Final = {
    "script.py": '''
        """Runs itself."""

        from bikes.loading.units import hours
        from penstock import pipeline, task

        FACTOR = 3


        def helper(x):
            return hours(x) * FACTOR


        @task
        def first(x: float) -> float:
            return helper(x)


        @task
        def second(x: float) -> float:
            return x + 1


        @pipeline
        def script() -> float:
            return second(first(120.0))


        if __name__ == "__main__":
            script.options(executor="inline").run()
    ''',
    "notebook.py": """
        from penstock import pipeline, task
        RATE = 2

        # %%
        def helper(x):
            return x * RATE

        # %%
        @task
        def third(x: int) -> int:
            # thirdly
            return helper(x)

        @task
        def fourth(x: int) -> int:
            return x - 1

        # %%
        @pipeline
        def cells() -> int:
            return fourth(third(5))

        # %%
        cells.options(executor="inline").run()
    """,
}
