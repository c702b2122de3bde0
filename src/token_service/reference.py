"""`GET /docs`: the description of the interface as a page for people, written once at the start.

One file without scripts, fonts or anything else to fetch; its style is named by its hash in the
policy under which browsers show it.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources
from typing import Any

from token_service import problems

Json = Mapping[str, Any]
_REF = "#/components/schemas/"
_CODE = re.compile(r"`([^`]+)`")
STYLE = resources.files("token_service").joinpath("reference.css").read_text(encoding="utf-8")


def reference_headers() -> dict[str, str]:
    """The page's headers: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
        "Cache-Control": "no-cache",
    }


def reference(document: Json) -> str:
    """The page for an OpenAPI document of ours."""
    info = document["info"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = sorted(document["components"]["schemas"].items())
    links = "".join(
        f'<li><a href="#{_anchor(method, path)}"><b>{method.upper()}</b> {escape(path)}</a></li>'
        for method, path, _ in operations
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: HTTP API</title><style>{STYLE}</style></head><body>"
        f'<nav aria-label="Routes"><ul>{links}</ul></nav><main>'
        f"<h1>{escape(info['title'])}</h1>"
        f"<p>HTTP API, version {escape(info['version'])}. Keys are shown as "
        "<code>Authorization: Bearer KEY</code>; whatever is refused is a "
        f'<a href="#schema-ProblemAnswer">ProblemAnswer</a> with one of the codes. For programs: '
        '<a href="/openapi.json">/openapi.json</a>.</p>'
        f"{''.join(_operation(*one) for one in operations)}"
        f"<h2>Schemas</h2>{''.join(_schema(name, schema) for name, schema in schemas)}"
        "</main></body></html>"
    )


def _anchor(method: str, path: str) -> str:
    return f"{method}-{re.sub('[^A-Za-z]+', '-', path).strip('-')}".lower()


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _operation(method: str, path: str, operation: Json) -> str:
    return (
        f'<article id="{_anchor(method, path)}"><h2><b>{method.upper()}</b> '
        f"<code>{escape(path)}</code></h2><p>{_prose(operation['summary'])}"
        f"{'' if 'security' in operation else ' <em>No key needed.</em>'}</p>"
        f"{_table('Parameters', _parameters(operation))}"
        f"{_body(operation)}"
        f"{_table('Answers', _answers(operation))}</article>"
    )


def _table(title: str, rows: Iterator[tuple[str, str, str]]) -> str:
    """`rows` are markup already."""
    lines = "".join(
        f'<tr><th scope="row">{name}</th><td>{kind}</td><td>{text}</td></tr>'
        for name, kind, text in rows
    )
    if not lines:
        return ""
    return f"<table><caption>{title}</caption><tbody>{lines}</tbody></table>"


def _parameters(operation: Json) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", ()):
        place = {"path": "in the path", "query": "in the query", "header": "a header"}
        yield f"<code>{escape(parameter['name'])}</code>", place[parameter["in"]], ""


def _body(operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    ((_, content),) = operation["requestBody"]["content"].items()
    return f"<p>Body: {_kind(content['schema'])}</p>"


def _answers(operation: Json) -> Iterator[tuple[str, str, str]]:
    for status, answer in sorted(operation["responses"].items()):
        ((media_type, content),) = answer["content"].items()
        schema = content["schema"]
        if media_type == problems.TYPE:
            codes = " ".join(
                code for code in _CODE.findall(answer["description"]) if code != "code"
            )
            yield escape(status), "", f"<code>{escape(codes)}</code>"
            continue
        told = schema.get("x-event-data", schema)
        kind = escape(media_type) if media_type.startswith(("audio", "text")) else _kind(told)
        text = _prose(answer["description"])
        if told is not schema:
            text += f": {_kind(told)}"
        yield f"{escape(status)}", kind, text


def _schema(name: str, schema: Json) -> str:
    described = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    if "enum" in schema:
        values = ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
        described += f"<p>One of {values}</p>"
    return (
        f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3>{described}'
        f"{_table('Fields', _fields(schema))}</article>"
    )


def _fields(schema: Json) -> Iterator[tuple[str, str, str]]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        may_lack = "" if name in required else "May be absent"
        text = ". ".join(filter(None, (_prose(field.get("description", "")).rstrip("."), may_lack)))
        yield f"<code>{escape(name)}</code>", _kind(field), text


def _kind(schema: Json) -> str:
    """The type in words, as markup that leads to the schemas it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(_REF))
        return f'<a href="#schema-{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_kind(part) for part in schema[key]))
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if isinstance(inner := schema.get("additionalProperties"), dict):
        return f"{_kind(inner)} by name"
    return escape(schema.get("type", "anything"))
