"""Turns descriptions of classes into the text of the modules of `kubeapi/types`."""

from collections.abc import Iterable, Iterator

from kubeapi.generate.schema import KUBERNETES, Class, Field, FieldType, Module, module_name

ANNOTATIONS = {
    "string": "str",
    "bool": "bool",
    "double": "float",
    "int32": "Int32",
    "int64": "Int64",
    "bytes": "Bytes",
    "quantity": "Quantity",
    "int-or-string": "IntOrString",
    "Time": "Time",
    "MicroTime": "MicroTime",
    "json": "Json",
    "raw": "RawJson",
}
BUILTINS = {"str", "bool", "float"}
NOTICE = f"Written by `python -m kubeapi.generate` from Kubernetes {KUBERNETES}'s schema."


def render(modules: list[Module]) -> dict[str, str]:
    """File name to text, for every file that the generator owns."""
    files = {f"{module.name}.py": module_text(module) for module in modules}
    return files | {"rules.py": rules_text(modules)}


def module_text(module: Module) -> str:
    """Annotations are strings (`from __future__`): msgspec resolves them when first decoding."""
    used = [field.type for cls in module.classes for field in cls.fields]
    scalars = {ANNOTATIONS[t.name] for t in used if not t.is_class} - BUILTINS
    if any(_hides_bool(cls) for cls in module.classes):
        scalars.add("Bool")
    others = {module_name(t.name) for t in used if t.is_class} - {module.name}
    renamed = any(f.attribute != f.name for cls in module.classes for f in cls.fields)
    gvk = any(cls.gvk for cls in module.classes)
    lines = [f'"""{NOTICE}"""', "", "from __future__ import annotations", ""]
    if gvk:
        lines += ["from typing import ClassVar", ""]
    if renamed:
        lines += ["from msgspec import field", ""]
    lines += [f"from kubeapi.scalars import {', '.join(sorted(scalars | {'Message'}))}"]
    if others:
        lines += [f"from kubeapi.types import {', '.join(sorted(others))}"]
    for cls in module.classes:
        lines += ["", "", *_class_lines(cls, module.name)]
    return "\n".join(lines) + "\n"


def _class_lines(cls: Class, module: str) -> Iterator[str]:
    yield f"class {cls.name}(Message, frozen=True, kw_only=True):"
    if cls.gvk:
        quoted = ", ".join(f'"{part}"' for part in cls.gvk)
        yield f"    GVK: ClassVar[tuple[str, str, str]] = ({quoted})"
    for field in cls.fields:
        default = "None"
        if field.attribute != field.name:
            default = f'field(default=None, name="{field.name}")'
        text = annotation(field.type, module)
        if _hides_bool(cls):
            text = text.replace("bool", "Bool")
        yield f"    {field.attribute}: {text} = {default}"
    if not cls.gvk and not cls.fields:
        yield "    pass"


def _hides_bool(cls: Class) -> bool:
    """In a class body the name of a field hides the builtin from the annotations of others."""
    return any(field.attribute == "bool" for field in cls.fields)


def annotation(type_: FieldType, module: str) -> str:
    text = ANNOTATIONS.get(type_.name, "")
    if type_.is_class:
        home, _, name = type_.name.rpartition(".")
        home = home.replace(".", "_")
        text = name if home == module else f"{home}.{name}"
    for container in reversed(type_.wrapped):
        text = f"list[{text}]" if container == "list" else f"dict[str, {text}]"
    # Any has None in it already; RawJson says so itself.
    return text if text in ("Json", "RawJson") else f"{text} | None"


def rules_text(modules: list[Module]) -> str:
    lines = [
        f'"""{NOTICE}',
        "",
        "REQUIRED: the fields that validation asks for, by class, separated by spaces. MERGE: list",
        "type, map keys, map type, patch strategy and patch merge key of a field, by class and",
        'field; the field "" is the class itself. `kubeapi.schema` reads both on first use.',
        '"""',
        "",
        "REQUIRED: dict[str, str] = {",
        *_required_lines(modules),
        "}",
        "",
        "MERGE: dict[str, dict[str, tuple[str, tuple[str, ...], str, str, str]]] = {",
        *_merge_lines(modules),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _classes(modules: Iterable[Module]) -> Iterator[tuple[str, Class]]:
    for module in modules:
        for cls in module.classes:
            yield f"{module.name}.{cls.name}", cls


def _required_lines(modules: list[Module]) -> Iterator[str]:
    for key, cls in _classes(modules):
        names = " ".join(field.name for field in cls.fields if field.required)
        if names:
            yield f'    "{key}": "{names}",'


def _merge_lines(modules: list[Module]) -> Iterator[str]:
    for key, cls in _classes(modules):
        rules = [_rule_line(field) for field in cls.fields if _has_rule(field)]
        if cls.map_type:
            rules.insert(0, f'        "": {("", (), cls.map_type, "", "")!r},')
        if rules:
            yield f'    "{key}": {{'
            yield from rules
            yield "    },"


def _has_rule(field: Field) -> bool:
    return bool(field.list_type or field.map_type or field.strategy)


def _rule_line(f: Field) -> str:
    rule = (f.list_type, f.map_keys, f.map_type, f.strategy, f.merge_key)
    return f'        "{f.name}": {rule!r},'
