"""Environment variables of an app that may be reported: named one by one, kept as one JSON string in the file."""

from __future__ import annotations

from otel_usage.facts.declaration import as_tuple
from otel_usage.facts.fact import Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_usage.facts.fact import Attribute, Scalar


class EnvironmentFact(Fact):
    """A JSON object of allow-listed environment variables, `<app>.env.<NAME>` one each over OTLP.

    key: the key in the file, whose value is a string of JSON. variables: a Fact for each variable, whose
    key is the variable's name. A variable that is not declared here, or does not fit, is left out.

    Raises ValueError, at declaration, for variables that make no sense.
    """

    __slots__ = ("variables",)

    def __init__(self, key: str, variables: Iterable[Fact], *, why: str) -> None:
        super().__init__(key, str, why=why)
        self.variables: tuple[Fact, ...] = as_tuple(variables)  # type: ignore[assignment]  # checked below
        if problem := self._wrong_variables():
            message = f"fact {key!r}: {problem}"
            raise ValueError(message)

    def _wrong_variables(self) -> str | None:
        """Say what is wrong with the variables, or None."""
        given = self.variables
        if not isinstance(given, tuple) or not given:
            return 'variables must be a list of facts, such as [Fact("MYENGINE_FAST", bool, why="...")]'
        if not all(isinstance(variable, Fact) and not isinstance(variable, EnvironmentFact) for variable in given):
            return "variables must hold Fact objects, one a variable"
        if any(variable.on != "report" for variable in given):
            return "a variable does not change while a run lives: leave out its on="
        names = [variable.key for variable in given]
        twice = next((name for name in names if names.count(name) > 1), None)
        return None if twice is None else f"the variable {twice!r} is declared twice"

    def attributes(self, app: str) -> tuple[Attribute, ...]:
        """Return one attribute for each variable."""
        named = [variable.attributes(app)[0] for variable in self.variables]
        for variable, attribute in zip(self.variables, named, strict=True):
            attribute.name = variable.attribute or f"{app}.env.{variable.key}"
        return tuple(named)

    def split(self, value: Scalar) -> tuple[Scalar | None, ...]:
        """Return the variables' values, None where one is absent or null."""
        given = _load(value) or {}
        return tuple(given.get(variable.key) for variable in self.variables)

    def join(self, values: tuple[Scalar | None, ...]) -> Scalar | None:
        """Return the JSON string of all declared variables, None if none is known."""
        if all(value is None for value in values):
            return None
        return _dump({variable.key: value for variable, value in zip(self.variables, values, strict=True)})

    def admit(self, value: object) -> tuple[Scalar | None, list[str]]:
        """Return the string with the declared variables that fit, in the order given, and what was wrong."""
        if value is None:
            return None, []
        given = _load(value)
        if given is None:
            return None, [f"{self.key} must be a string that holds a JSON object"]
        declared = {variable.key: variable for variable in self.variables}
        kept: dict[str, Scalar | None] = {}
        problems = [f"{self.key}: {name} is not declared" for name in given if name not in declared]
        for name in (name for name in given if name in declared):
            kept[name], wrong = declared[name].admit(given[name])
            problems += wrong
        return _dump({name: kept[name] for name in given if name in kept}), problems


def _load(value: object) -> dict[str, Scalar | None] | None:
    import json  # 3 ms that an importing host need not pay

    try:
        given = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _dump(values: dict[str, Scalar | None]) -> str:
    import json  # 3 ms that an importing host need not pay

    return json.dumps(values)
