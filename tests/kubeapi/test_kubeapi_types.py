"""The generated types: what the tree holds is what the generator makes, and every class works."""

import importlib
import pkgutil
import subprocess
import sys
from importlib.util import find_spec

import msgspec
import pytest

from kubeapi import generate, scalars, schema, types
from kubeapi.types import apps_v1, core_v1, meta_v1, resource_v1

MODULES = [m.name for m in pkgutil.iter_modules(types.__path__) if m.name != "rules"]


def classes() -> list[type]:
    found = []
    for name in MODULES:
        module = importlib.import_module(f"kubeapi.types.{name}")
        found += [
            cls
            for cls in vars(module).values()
            if isinstance(cls, type) and issubclass(cls, scalars.Message)
            and cls.__module__ == module.__name__
        ]  # fmt: skip
    return found


def test_the_tree_is_what_was_generated() -> None:
    assert generate.digest() == generate.DIGEST.read_text().strip()
    if find_spec("kubernetes_validate"):
        from kubeapi.generate.render import render
        from kubeapi.generate.schema import load

        for name, text in render(load()).items():
            assert (generate.TYPES / name).read_text() == text, name


def test_every_class_can_be_decoded_and_read_as_a_schema() -> None:
    found = classes()
    assert len(found) > 750
    for cls in found:
        empty = msgspec.json.decode(b"{}", type=cls)
        assert msgspec.json.encode(empty) == b"{}"
        assert len(schema.fields_of(cls)) == len(cls.__struct_fields__)


def test_structs_are_frozen_and_untracked() -> None:
    import gc

    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="a"))
    assert not gc.is_tracked(pod)
    with pytest.raises(AttributeError):
        pod.kind = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        core_v1.Pod("Pod")  # type: ignore[misc]


def test_absent_zero_and_empty_are_three_things() -> None:
    spec = msgspec.json.decode(
        b'{"replicas":0,"template":{"spec":{"containers":[]}},"minReadySeconds":null}',
        type=apps_v1.DeploymentSpec,
    )
    assert spec.replicas == 0
    assert spec.template is not None
    assert spec.template.spec is not None
    assert spec.template.spec.containers == []
    assert spec.minReadySeconds is None
    encoded = msgspec.json.encode(spec)
    assert b'"replicas":0' in encoded
    assert b'"containers":[]' in encoded
    assert b"minReadySeconds" not in encoded


def test_names_that_python_keeps_for_itself() -> None:
    meta = msgspec.json.decode(b'{"continue":"c"}', type=meta_v1.ListMeta)
    assert meta.continue_ == "c"
    assert msgspec.json.encode(meta) == b'{"continue":"c"}'


def test_a_field_may_be_called_bool() -> None:
    attribute = msgspec.json.decode(b'{"bool":true}', type=resource_v1.DeviceAttribute)
    assert attribute.bool is True


@pytest.mark.parametrize(
    ("cls", "name", "format_", "containers", "required"),
    [
        (core_v1.ContainerPort, "containerPort", "int32", (), True),
        (core_v1.PodSpec, "activeDeadlineSeconds", "int64", (), False),
        (core_v1.Secret, "data", "bytes", ("dict",), False),
        (core_v1.ResourceRequirements, "limits", "quantity", ("dict",), False),
        (core_v1.ServicePort, "targetPort", "int-or-string", (), False),
        (core_v1.Event, "eventTime", "MicroTime", (), False),
        (meta_v1.ObjectMeta, "creationTimestamp", "Time", (), False),
        (meta_v1.ManagedFieldsEntry, "fieldsV1", "raw", (), False),
        (apps_v1.ControllerRevision, "data", "json", (), False),
        (core_v1.PodSpec, "containers", "object", ("list",), True),
        (resource_v1.DeviceAttribute, "bool", "bool", (), False),
    ],
)
def test_what_the_schema_says(
    cls: type, name: str, format_: str, containers: tuple[str, ...], required: bool
) -> None:
    field = schema.fields_of(cls)[name]
    assert (field.format, field.containers, field.required) == (format_, containers, required)


def test_merge_rules() -> None:
    containers = schema.merge_rule(core_v1.PodSpec, "containers")
    assert (containers.list_type, containers.map_keys) == ("map", ("name",))
    assert (containers.strategies, containers.merge_key) == (("merge",), "name")
    ports = schema.merge_rule(core_v1.Container, "ports")
    assert ports.map_keys == ("containerPort", "protocol")
    assert ports.merge_key == "containerPort"
    volumes = schema.merge_rule(core_v1.PodSpec, "volumes")
    assert volumes.strategies == ("merge", "retainKeys")
    assert schema.merge_rule(core_v1.PodSpec, "nodeName") == schema.NO_RULE
    assert schema.type_rule(meta_v1.LabelSelector).map_type == "atomic"


def test_importing_types_needs_no_rules_and_no_schema_package() -> None:
    code = (
        "import sys, kubeapi.codec, kubeapi.types.core_v1\n"
        "assert 'kubeapi.types.rules' not in sys.modules\n"
        "assert 'kubernetes_validate' not in sys.modules\n"
        "assert 'kubeapi.types.apps_v1' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
