"""What names, labels and keys may look like, with Kubernetes' words where they do not.

Each `*_problems` function answers a list of messages, empty when the value is good; `*_causes`
answer causes with paths. Source: apimachinery `util/validation` and `api/validation`.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence

from kubeapi.errors import Cause

_ALNUM = "must start and end with an alphanumeric character"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_HTTP_HEADER = r"[-A-Za-z0-9]+"
_LEADING_ZEROS = re.compile(r"\b0+(?=[0-9])", re.ASCII)
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
ANNOTATIONS_SIZE_MAX_BYTES = 256 * 1024

Problems = list[str]


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


_is_qualified = _matcher(_QUALIFIED)
_is_label = _matcher(_LABEL)
_is_label_1035 = _matcher(_LABEL_1035)
_is_subdomain = _matcher(_SUBDOMAIN)
_is_label_value = _matcher(f"({_QUALIFIED})?")
_is_config_key = _matcher(_CONFIG_KEY)
_is_http_header = _matcher(_HTTP_HEADER)
_is_env_name = _matcher(r"[ -<>-~]+")
_has_letter = re.compile("[a-z]").search
_is_port_name = _matcher(r"[-a-z0-9]+")


def _pattern_problem(message: str, pattern: str, *examples: str) -> str:
    """apimachinery's RegexError, with its double blanks."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_NOT_QUALIFIED = _pattern_problem(
    f"must consist of alphanumeric characters, '-', '_' or '.', and {_ALNUM}",
    _QUALIFIED, "MyName", "my.name", "123-abc",
)  # fmt: skip
_NOT_KEY = _pattern_problem(
    f"a valid label key must consist of alphanumeric characters, '-', '_' or '.', and {_ALNUM}",
    _QUALIFIED, "MyName", "my.name", "123-abc",
) + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"  # fmt: skip
_NOT_LABEL_VALUE = _pattern_problem(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    f"and {_ALNUM}",
    f"({_QUALIFIED})?", "MyValue", "my_value", "12345",
)  # fmt: skip
_NOT_LABEL = _pattern_problem(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    f"{_ALNUM}",
    _LABEL, "my-name", "123-abc",
)  # fmt: skip
_NOT_LABEL_1035 = _pattern_problem(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character",
    _LABEL_1035, "my-name", "abc-123",
)  # fmt: skip
_NOT_SUBDOMAIN = _pattern_problem(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    f"'.', and {_ALNUM}",
    _SUBDOMAIN, "example.com",
)  # fmt: skip
_NOT_CONFIG_KEY = _pattern_problem(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY, "key.name", "KEY_NAME", "key-name",
)  # fmt: skip
_NOT_HTTP_HEADER = _pattern_problem(
    "a valid HTTP header must consist of alphanumeric characters or '-'",
    _HTTP_HEADER, "X-Header-Name",
)  # fmt: skip


def too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def _too_many_bytes(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def dns_label_problems(value: str) -> Problems:
    """RFC 1123 label: names of namespaces, services, containers, volumes."""
    problems = [too_long(63)] if len(value.encode()) > 63 else []
    if not _is_label(value):
        problems.append("must not contain dots" if _is_subdomain(value) else _NOT_LABEL)
    return problems


def dns1035_label_problems(value: str) -> Problems:
    problems = [too_long(63)] if len(value.encode()) > 63 else []
    return problems if _is_label_1035(value) else [*problems, _NOT_LABEL_1035]


def dns_subdomain_problems(value: str) -> Problems:
    """RFC 1123 subdomain: names of most kinds."""
    problems = [too_long(253)] if len(value.encode()) > 253 else []
    return problems if _is_subdomain(value) else [*problems, _NOT_SUBDOMAIN]


def path_segment_problems(value: str) -> Problems:
    """Names that only have to fit into a URL: roles and bindings."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def _ip_address(value: str) -> str:
    """The canonical text of an IP address, empty where it is none."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return ""


def ip_address_problems(value: str) -> Problems:
    """An IP address in its canonical form."""
    found = _ip_address(value)
    if found == value != "":
        return []
    if found:
        return [f'must be in canonical form ("{found}")']
    if _ip_address(_LEADING_ZEROS.sub("", value)):
        return ["must not have leading 0s"]
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]


_OBJECT_NAMES: dict[tuple[str, str], Callable[[str], Problems]] = {
    ("", "namespaces"): dns_label_problems,
    ("", "services"): dns_label_problems,
    ("apps", "statefulsets"): dns_label_problems,
    ("networking.k8s.io", "ipaddresses"): ip_address_problems,
    ("certificates.k8s.io", "clustertrustbundles"): path_segment_problems,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): path_segment_problems,
    ("rbac.authorization.k8s.io", "clusterroles"): path_segment_problems,
    ("rbac.authorization.k8s.io", "rolebindings"): path_segment_problems,
    ("rbac.authorization.k8s.io", "roles"): path_segment_problems,
    ("apiextensions.k8s.io", "customresourcedefinitions"): path_segment_problems,
    ("apiregistration.k8s.io", "apiservices"): path_segment_problems,
}


def object_name_problems(name: str, group: str, resource: str) -> Problems:
    """`metadata.name` of an object of this resource."""
    return _OBJECT_NAMES.get((group, resource), dns_subdomain_problems)(name)


def generate_name_problems(prefix: str, group: str, resource: str) -> Problems:
    """`metadata.generateName`: a trailing dash is good, because something follows it."""
    if len(prefix) > 1 and prefix.endswith("-"):
        prefix = prefix[:-2] + "a"
    return object_name_problems(prefix, group, resource)


def qualified_name_problems(value: str) -> Problems:
    """A key: a name with an optional subdomain and '/' before it."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [_NOT_KEY]
    problems: Problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += [f"prefix part {problem}" for problem in dns_subdomain_problems(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        problems.append(f"name part {_too_many_bytes(63)}")
    if not _is_qualified(name):
        problems.append(f"name part {_NOT_QUALIFIED}")
    return problems


def label_value_problems(value: str) -> Problems:
    problems = [_too_many_bytes(63)] if len(value.encode()) > 63 else []
    return problems if _is_label_value(value) else [*problems, _NOT_LABEL_VALUE]


def config_key_problems(value: str) -> Problems:
    """Keys of ConfigMaps and Secrets, which become names of files."""
    problems = [too_long(253)] if len(value.encode()) > 253 else []
    if not _is_config_key(value):
        problems.append(_NOT_CONFIG_KEY)
    elif value in (".", ".."):
        problems.append(f"must not be '{value}'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def env_name_problems(value: str) -> Problems:
    if value and not _is_env_name(value):
        return [
            "a valid environment variable name must consist only of printable ASCII characters "
            "other than '='"
        ]
    return []


def http_header_problems(value: str) -> Problems:
    return [] if _is_http_header(value) else [_NOT_HTTP_HEADER]


def port_number_problems(port: int) -> Problems:
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def port_name_problems(value: str) -> Problems:
    """IANA service name (RFC 6335): at most 15 of letters, digits and single dashes."""
    problems = [too_long(15)] if len(value.encode()) > 15 else []
    if not _is_port_name(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _has_letter(value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def invalid_causes(value: str, path: str, problems: Sequence[str]) -> list[Cause]:
    """Each problem as a cause of "Invalid value"."""
    return [
        Cause("FieldValueInvalid", f"Invalid value: {quoted(value)}: {problem}", path)
        for problem in problems
    ]


def quoted(value: str) -> str:
    """`value` as Go prints it with %q, as far as names need it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for plain, escape in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        escaped = escaped.replace(plain, escape)
    return f'"{escaped}"'


def label_causes(labels: Mapping[str, str] | None, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for key, value in sorted((labels or {}).items()):
        causes += invalid_causes(key, path, qualified_name_problems(key))
        causes += invalid_causes(value, path, label_value_problems(value))
    return causes


def annotation_causes(annotations: Mapping[str, str] | None, path: str) -> list[Cause]:
    """Keys are compared in lower case; all keys and values together have a limit."""
    causes: list[Cause] = []
    size_bytes = 0
    for key, value in sorted((annotations or {}).items()):
        causes += invalid_causes(key, path, qualified_name_problems(key.lower()))
        size_bytes += len(key.encode()) + len(value.encode())
    if size_bytes > ANNOTATIONS_SIZE_MAX_BYTES:
        text = f"Too long: may not be more than {ANNOTATIONS_SIZE_MAX_BYTES} bytes"
        causes.append(Cause("FieldValueTooLong", text, path))
    return causes


def finalizer_causes(finalizers: Sequence[str] | None, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for finalizer in finalizers or ():
        causes += invalid_causes(finalizer, path, qualified_name_problems(finalizer))
    for index, finalizer in enumerate(finalizers or ()):
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            causes += invalid_causes(finalizer, f"{path}[{index}]", [text])
    if {"orphan", "foregroundDeletion"} <= set(finalizers or ()):
        shown = "[" + ",".join(quoted(f) for f in finalizers or ()) + "]"
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {shown}: {text}", path))
    return causes
