"""YAML that is not trusted and means one thing: the core schema of YAML 1.2, with nothing that readers disagree on.

PyYAML reads YAML 1.1, in which 1:10 is the number 70, 010 is 8 and `no` is false. Its scanner and parser are in use,
its rules for plain words are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Any, Never

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from compute.config.plain_text import without_controls

EXPANDED_LIMIT = 1 << 21
"""The largest size of a document in which each alias is written out, in characters."""
_DIGITS = 40
_TAG = "tag:yaml.org,2002:"
_YAML_1_1_WORDS = frozenset(("y", "n", "yes", "no", "on", "off"))


class YamlRefused(ValueError):
    """A YAML document that is not accepted; the message is one line."""


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the core schema's plain words."""

    def flatten_mapping(self, node: MappingNode) -> None:
        """Leave `<<` as it is: YAML 1.2 has no merge keys."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping whose keys are different texts."""
        fields: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                _refuse(key_node, "Keys should be strings: write it in quotes")
            if key == "<<" and key_node.style is None:
                _refuse(key_node, "merge keys (<<) belong to YAML 1.1: write the fields out")
            if key in fields:
                _refuse(key_node, f"the field {key[:60]!r} appears twice: each counts once")
            fields[key] = self.construct_object(value_node, deep=True)
        return fields


_Loader.yaml_implicit_resolvers = {}  # not those of YAML 1.1, which a subclass inherits
_PLAIN_WORDS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
"""The core schema of YAML 1.2.2, section 10.3.2: each tag and the plain words that have it, in this order."""
for _name, _words in _PLAIN_WORDS.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_words})\Z"), None)


def parse(text: str, *, no_words_in: str = "") -> Any:
    """Return the value of a YAML text: mappings with text as keys, lists, text, numbers, true, false and null.

    Below the field `no_words_in` of the document, plain words that are true or false in YAML 1.1 alone are refused:
    there text and truth values are both accepted, so a reader could not tell which was meant.

    Raises YamlRefused for text that is not YAML, and for keys that repeat or are no text, other tags, merge keys, lists
    that contain themselves, aliases that stand for too much, control characters and half a surrogate pair in text, and
    integers of more than 40 digits.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if loader.yaml_version not in (None, (1, 2)):
                raise YamlRefused(f"is of YAML {'.'.join(map(str, loader.yaml_version))}; YAML 1.2 is accepted")
            _check_size(node)
            _check_words(node, no_words_in)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except YamlRefused:
        raise
    except RecursionError:
        raise YamlRefused("is not YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise YamlRefused(f"is not YAML{line}: {problem}") from None


def _refuse(node: Node, problem: str) -> Never:
    raise YamlRefused(f"line {node.start_mark.line + 1}: {problem}")


def _check_size(root: Node) -> None:
    """Refuse a document whose aliases stand for more than EXPANDED_LIMIT characters, or for what they lie in."""
    sizes: dict[Node, int] = {}
    open_nodes: set[Node] = set()

    def size_of(node: Node) -> int:
        if isinstance(node, ScalarNode):
            return len(node.value) + 1
        if node in sizes:
            return sizes[node]
        if node in open_nodes:
            _refuse(node, "it contains itself")
        open_nodes.add(node)
        children = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
        sizes[node] = 1 + sum(map(size_of, children))
        open_nodes.discard(node)
        return sizes[node]

    if size_of(root) > EXPANDED_LIMIT:
        raise YamlRefused(f"its aliases stand for more than the {EXPANDED_LIMIT >> 20} MiB that are accepted")


def _check_words(root: Node, field: str) -> None:
    if not isinstance(root, MappingNode):
        return
    nodes = [value for key, value in root.value if isinstance(key, ScalarNode) and key.value == field]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ScalarNode):
            if node.style is None and node.value.lower() in _YAML_1_1_WORDS:
                _refuse(node, f"{node.value} is text in YAML 1.2: write true or false, or put the text in quotes")
        else:
            nodes += node.value if isinstance(node, SequenceNode) else [value for _, value in node.value]


def _text(loader: yaml.SafeLoader, node: ScalarNode) -> str:
    try:
        text = str(loader.construct_scalar(node))
        # JSON writes what lies beyond 16 bits as two escapes, a surrogate pair.
        return without_controls(text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"))
    except ValueError as error:
        line_break = "; a block (| or >) ends with a line break, |- and >- do not" if node.style in ("|", ">") else ""
        _refuse(node, f"a text {error}{line_break}")


def _int(loader: yaml.SafeLoader, node: ScalarNode) -> int:
    word = _word(loader, node, "int")
    sign, digits = (-1 if word[0] == "-" else 1), word.lstrip("+-")
    base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
    digits = digits if base == 10 else digits[2:]
    if len(digits) > _DIGITS:
        _refuse(node, f"a number of more than {_DIGITS} digits")
    return sign * int(digits, base)


def _float(loader: yaml.SafeLoader, node: ScalarNode) -> float:
    word = _word(loader, node, "float").lower()
    value = float(word.replace(".inf", "inf").replace(".nan", "nan"))
    if math.isinf(value) and "inf" not in word:
        _refuse(node, "a number that is too large")
    return value


def _bool(loader: yaml.SafeLoader, node: ScalarNode) -> bool:
    return _word(loader, node, "bool").lower() == "true"


def _null(loader: yaml.SafeLoader, node: ScalarNode) -> None:
    _word(loader, node, "null")


def _word(loader: yaml.SafeLoader, node: ScalarNode, name: str) -> str:
    """Return the text of a node with a core tag, which a document may also write out (!!int). Raises YamlRefused."""
    word = str(loader.construct_scalar(node))
    if not re.fullmatch(_PLAIN_WORDS[name], word):
        _refuse(node, f"{word[:60]!r} is no {name} of YAML 1.2")
    return word


def _list(loader: yaml.SafeLoader, node: SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


def _mapping(loader: yaml.SafeLoader, node: MappingNode) -> dict[Hashable, Any]:
    return loader.construct_mapping(node, deep=True)


def _other(loader: yaml.SafeLoader, node: Node) -> Never:
    _refuse(node, f"the tag {node.tag.replace(_TAG, '!!')[:60]!r} is not accepted")


_Loader.yaml_constructors = {
    **{_TAG + name: make for name, make in (("str", _text), ("int", _int), ("float", _float), ("bool", _bool))},
    **{_TAG + name: make for name, make in (("null", _null), ("seq", _list), ("map", _mapping))},
    None: _other,
}
