"""YAML text to checked plain data, every value with its place. Reads no file.

Only plain YAML is understood: no tags, no merge keys, no key twice. A message names key, place and what was expected,
and never holds a string's content, which may be a secret.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from msgspec import inspect

from claude_proxy.config.foreign import FOREIGN
from claude_proxy.config.keys import bare, keys, struct_type
from claude_proxy.config.schema import Config
from claude_proxy.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_FOUND = {
    _TAG + "str": "a string",
    _TAG + "int": "a number",
    _TAG + "float": "a number",
    _TAG + "bool": "true or false",
    _TAG + "timestamp": "a date",
    _TAG + "null": "nothing",
    _TAG + "map": "a mapping",
    _TAG + "seq": "a list",
}
_MEANT_AS_TEXT = {"a number", "true or false", "a date"}
_MAY_BE_LEFT_EMPTY = (inspect.StructType, inspect.VarTupleType, inspect.DictType)


class Place(NamedTuple):
    """Where something is written, counted from 1 as editors do."""

    line: int = 1
    column: int = 1

    @classmethod
    def at(cls, mark: yaml.Mark | None) -> Place:
        """Give the place that YAML means, the file's beginning where it doesn't say."""
        return cls(mark.line + 1, mark.column + 1) if mark else cls()

    @classmethod
    def after(cls, before: str) -> Place:
        """Give the place after a text."""
        return cls(before.count("\n") + 1, len(before) - before.rfind("\n"))

    def within(self, path: str) -> str:
        """Write it as compilers do, so that editors can go there."""
        return f"{path}:{self.line}:{self.column}"


@dataclass(slots=True)
class Document:
    """A checked file: ``data`` fits the schema, ``places`` says where each key is, ``warnings`` are one line each."""

    path: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def where(self, key: str) -> str:
        """Say where a key is: at its section when it isn't written itself."""
        while key and key not in self.places:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.places.get(key, Place()).within(self.path)


def check(text: str, path: str) -> Document:
    """Check a whole file's text against the schema."""
    document = Document(path)
    loader = yaml.SafeLoader("")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        why = " ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{Place.at(error.problem_mark).within(path)}: not valid YAML: {why}") from error
    except yaml.reader.ReaderError as error:
        where = Place.after(text[: error.position]).within(path)
        raise ConfigError(f"{where}: a control character, which YAML doesn't allow") from error
    if root is not None and root.tag != _TAG + "null":
        document.data = _Checker(document, loader).section(root, struct_type(Config), "")
    return document


class _Checker:
    """Walks nodes and types side by side."""

    def __init__(self, document: Document, loader: yaml.SafeLoader) -> None:
        self.document = document
        self.loader = loader

    def fail(self, node: yaml.Node, message: str) -> ConfigError:
        return ConfigError(f"{Place.at(node.start_mark).within(self.document.path)}: {message}")

    def mismatch(self, node: yaml.Node, key: str, expected: str) -> ConfigError:
        found = _FOUND.get(node.tag, f"the tag {node.tag}")
        advice = "; put it in quotes" if expected.startswith("a string") and found in _MEANT_AS_TEXT else ""
        return self.fail(node, f"{key or 'the file'}: expected {expected}, found {found}{advice}")

    def pairs(self, node: yaml.Node, key: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self.mismatch(node, key, "a mapping")
        first: dict[str, int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise self.mismatch(name, key, "a name before the colon")
            line = name.start_mark.line + 1
            if name.value in first:
                full = _join(key, name.value)
                raise self.fail(name, f"{full}: is set twice, first in line {first[name.value]}; take one out")
            first[name.value] = line
        return [(name.value, name, value) for name, value in node.value]

    def value(self, node: yaml.Node, kind: inspect.Type, key: str) -> Any:
        match bare(kind):
            case inspect.StructType() as struct:
                return self.section(node, struct, key)
            case inspect.DictType(value_type=item):
                return self.mapping(node, item, key)
            case inspect.VarTupleType(item_type=item):
                if not isinstance(node, yaml.SequenceNode):
                    raise self.mismatch(node, key, "a list")
                return [self.entry(child, item, f"{key}[{i}]") for i, child in enumerate(node.value)]
            case inspect.AnyType():
                return self.anything(node, key, ())
            case scalar:
                return self.scalar(node, scalar, key)

    def entry(self, node: yaml.Node, kind: inspect.Type, key: str) -> Any:
        self.document.places[key] = Place.at(node.start_mark)
        return self.value(node, kind, key)

    def mapping(self, node: yaml.Node, item: inspect.Type, key: str) -> dict[str, Any]:
        made = {}
        for name, name_node, child in self.pairs(node, key):
            full = _join(key, name)
            self.document.places[full] = Place.at(name_node.start_mark)
            made[name] = self.value(child, item, full)
        return made

    def section(self, node: yaml.Node, struct: inspect.StructType, key: str) -> dict[str, Any]:
        fields = {field.encode_name: field for field in struct.fields}
        made = {}
        for name, name_node, child in self.pairs(node, key):
            full = _join(key, name)
            self.document.places[full] = Place.at(name_node.start_mark)
            if name not in fields:
                self.unknown(name_node, full, list(fields))
            elif child.tag != _TAG + "null" or not isinstance(bare(fields[name].type), _MAY_BE_LEFT_EMPTY):
                made[name] = self.value(child, fields[name].type, full)
        for name, known in fields.items():
            if known.required and name not in made:
                raise self.fail(node, f"{_join(key, name)}: is missing")
        return made

    def unknown(self, node: yaml.Node, key: str, known: list[str]) -> None:
        advice = FOREIGN.get(re.sub(r"\[\d+\]", "", key))
        if advice is None:
            raise self.fail(node, f"{key}: unknown key{_nearest(key, known)}")
        self.document.warnings.append(f"{self.document.where(key)}: {key}: not used by claude-proxy; {advice}")

    def scalar(self, node: yaml.Node, kind: inspect.Type, key: str) -> Any:
        expected = _expected(kind)
        try:
            value = self.loader.construct_object(node) if isinstance(node, yaml.ScalarNode) else None
        except (yaml.YAMLError, ValueError) as error:
            raise self.mismatch(node, key, expected) from error
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if _number_fits(value, kind):
                return value
            if isinstance(kind, (inspect.IntType, inspect.FloatType)):
                raise self.fail(node, f"{key}: expected {expected}, found {value}")
        if isinstance(kind, inspect.BoolType) and isinstance(value, bool):
            return value
        if isinstance(kind, inspect.StrType) and isinstance(value, str) and (value or not kind.min_length):
            return value
        if isinstance(kind, inspect.LiteralType) and isinstance(value, str):
            if value in kind.values:
                return value
            raise self.fail(node, f"{key}: expected {expected}, found {value}")
        raise self.mismatch(node, key, expected)

    def anything(self, node: yaml.Node, key: str, above: tuple[yaml.Node, ...]) -> Any:
        if any(node is one for one in above):
            raise self.fail(node, f"{key}: holds itself")
        above = (*above, node)
        if isinstance(node, yaml.SequenceNode):
            return [self.anything(child, key, above) for child in node.value]
        if isinstance(node, yaml.MappingNode):
            return {name: self.anything(child, _join(key, name), above) for name, _, child in self.pairs(node, key)}
        if node.tag not in _FOUND:
            raise self.mismatch(node, key, "plain data")
        return self.loader.construct_object(node)


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _nearest(key: str, known: list[str]) -> str:
    """Name the key that was probably meant: one of another section by its exact name, or a similar one of this."""
    section, _, name = key.rpartition(".")
    elsewhere = [each.name for each in keys() if each.name.rpartition(".")[2] == name]
    near = difflib.get_close_matches(name.replace("_", "-").lower(), known, n=1)
    for found in (*elsewhere, *(_join(section, one) for one in near)):
        return f'; did you mean "{found}"?'
    return ""


def _number_fits(value: float, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.IntType):
        if not isinstance(value, int):
            return False
    elif not isinstance(kind, inspect.FloatType) or not math.isfinite(value):
        return False
    above = (kind.ge is None or value >= kind.ge) and (kind.gt is None or value > kind.gt)
    return above and (kind.le is None or value <= kind.le)


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            if kind.gt is not None:
                return f"{noun} above {kind.gt}"
            return f"{noun} of at least {kind.ge}" if kind.le is None else f"{noun} from {kind.ge} to {kind.le}"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(sorted(map(str, values)))
        case inspect.StrType(min_length=length) if length:
            return "a string that isn't empty"
        case _:
            return "a string"
