"""OpenAPI 2 in the protobuf form that kubectl before 1.31 asks for.

The messages are gnostic's (proto/openapi_v2.proto): a tree of named pairs in place of maps, and
extensions as YAML text. Only what the documents here contain is converted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from pinnace_wire import openapi_v2_pb2 as pb

_EXTENSION: Final = "x-"


def document(
    info: Mapping[str, str],
    paths: Iterable[tuple[str, Mapping[str, Any]]],
    definitions: Iterable[tuple[str, Mapping[str, Any]]],
) -> bytes:
    """The encoded Document."""
    found = pb.Document(swagger="2.0", info=pb.Info(title=info["title"], version=info["version"]))
    for path, item in paths:
        named = found.paths.path.add(name=path)
        _path_item(item, named.value)
    for name, schema in definitions:
        defined = found.definitions.additional_properties.add(name=name)
        _schema(schema, defined.value)
    return found.SerializeToString(deterministic=True)


def _path_item(item: Mapping[str, Any], into: pb.PathItem) -> None:
    for method, operation in item.items():
        if method == "parameters":
            for parameter in operation:
                _parameter(parameter, into.parameters.add())
        else:
            _operation(operation, getattr(into, method))


def _operation(operation: Mapping[str, Any], into: pb.Operation) -> None:
    into.description = operation["description"]
    into.operation_id = operation["operationId"]
    for field in ("tags", "schemes", "produces", "consumes"):
        getattr(into, field).extend(operation.get(field, ()))
    for parameter in operation.get("parameters", ()):
        _parameter(parameter, into.parameters.add())
    for code, response in operation["responses"].items():
        value = into.responses.response_code.add(name=code).value.response
        value.description = response["description"]
        if "schema" in response:
            _schema(response["schema"], value.schema.schema)
    _extensions(operation, into.vendor_extension)


def _parameter(parameter: Mapping[str, Any], into: pb.ParametersItem) -> None:
    if parameter["in"] == "body":
        body = into.parameter.body_parameter
        body.name, body.required = parameter["name"], parameter.get("required", False)
        setattr(body, "in", "body")
        _schema(parameter["schema"], body.schema)
        return
    simple = into.parameter.non_body_parameter
    in_path = parameter["in"] == "path"
    found = simple.path_parameter_sub_schema if in_path else simple.query_parameter_sub_schema
    found.name, found.type = parameter["name"], parameter["type"]
    found.description, found.required = parameter["description"], in_path
    found.unique_items = True
    setattr(found, "in", parameter["in"])


def _schema(schema: Mapping[str, Any], into: pb.Schema) -> None:
    into._ref = schema.get("$ref", "")
    into.description = schema.get("description", "")
    into.format = schema.get("format", "")
    if "type" in schema:
        into.type.value.append(schema["type"])
    into.required.extend(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        _schema(inner, into.properties.additional_properties.add(name=name).value)
    if "items" in schema:
        _schema(schema["items"], into.items.schema.add())
    if "additionalProperties" in schema:
        _schema(schema["additionalProperties"], into.additional_properties.schema)
    _extensions(schema, into.vendor_extension)


def _extensions(values: Mapping[str, Any], into: Any) -> None:
    for name, value in values.items():
        if name.startswith(_EXTENSION):
            # YAML is a superset of JSON, and quicker to write this way.
            into.add(name=name).value.yaml = msgspec.json.encode(value).decode() + "\n"
