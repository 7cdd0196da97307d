"""What every setting is called, means and starts from, read from the source of its class.

Reading the source instead of importing it keeps numpy and pydantic out of `--help`, and it is the
only place where the docstrings under the fields can be found.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twintier.launch.settings.tree import (
    COMPUTED,
    MEANINGS,
    SECTIONS,
    bounds_of,
    choices_of,
    unit_of,
)


@dataclass(frozen=True, slots=True)
class Described:
    """One setting."""

    path: str
    """Section and name, such as `cloud.n_min`."""
    annotation: str
    """Its type as the source has it."""
    default: object
    """None also where the source computes it."""
    meaning: str

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off."""
        return self.annotation == "bool"

    @property
    def is_number(self) -> bool:
        """Whether it has bounds."""
        return self.annotation.split(" ", 1)[0] in {"int", "float"}

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it may be; empty if any."""
        if self.annotation.startswith("Literal["):
            return tuple(ast.literal_eval(f"({self.annotation[8:-1]},)"))
        return choices_of(self.path)

    @property
    def metavar(self) -> str:
        """What stands for its value in help."""
        if self.choices and not self.annotation.startswith("tuple["):
            return "|".join(self.choices)
        kinds = {"int": "INT", "float": "NUMBER", "Path": "PATH", "tuple[str,": "NAME[,NAME]"}
        return kinds.get(self.annotation.split(" ", 1)[0], "TEXT")

    @property
    def help(self) -> str:
        """Meaning, path, unit, bounds and default in one line."""
        facts = [self.path, unit_of(self.path)]
        facts.append(str(bounds_of(self.path)) if self.is_number else "")
        shown = shown_value(self.default)
        facts.append(f"default {shown}" if shown else "")
        return f"{self.meaning} [{'; '.join(fact for fact in facts if fact)}]".strip()


def shown_value(value: object) -> str:
    """A value as a user writes it; empty if there is none."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return ",".join(str(part) for part in value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


@cache
def described(*, nested: bool = True) -> Mapping[str, Described]:
    """Every setting by its path, in the order of the sections and their classes.

    Args:
        nested: whether with those of classes within classes, whose sources must be read too.
    """
    found: dict[str, Described] = {}
    for section in SECTIONS.values():
        for each in _fields(section.module, section.kind, section.name, nested=nested):
            name = each.path.partition(".")[2]
            default = section.defaults.get(name, each.default)
            found[each.path] = Described(each.path, each.annotation, default, each.meaning)
    return found


def _fields(module: str, kind: str, prefix: str, *, nested: bool) -> Iterator[Described]:
    tree = _source(module)
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == kind)
    for index, node in enumerate(body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        path, annotation = f"{prefix}.{node.target.id}", ast.unparse(node.annotation)
        if path in COMPUTED:
            continue
        if not annotation.endswith("Settings"):
            meaning = _docstring(body, index + 1) or MEANINGS.get(path, "")
            yield Described(path, annotation, _literal(node.value), meaning)
        elif nested:
            origin = _origin(tree, module, annotation)
            yield from _fields(origin, annotation, path, nested=True)


@cache
def _source(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of {module}, whose settings are a section")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _origin(tree: ast.Module, module: str, name: str) -> str:
    """The module that a class comes from."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return node.module or module
    return module


def _docstring(body: list[ast.stmt], index: int) -> str:
    following = body[index] if index < len(body) else None
    match following:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
        case _:
            return ""


def _literal(node: ast.expr | None) -> object:
    match node:
        case None:
            return None
        case ast.Call(func=ast.Name(id="Path"), args=[ast.Constant(value=value)]):
            return Path(str(value))
        case _:
            try:
                return ast.literal_eval(node)
            except ValueError:  # computed when the class is made
                return None
