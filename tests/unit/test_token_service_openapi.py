"""The description of the interface is complete and in step with the errors."""

import base64
import hashlib
import json
from html.parser import HTMLParser

from token_service.openapi import openapi
from token_service.operations import OPERATIONS
from token_service.problems import KINDS, TYPE
from token_service.reference import STYLE, reference, reference_headers


def test_codes_exist() -> None:
    """Every code that an operation names is one that we answer, and codes are unique."""
    codes = [kind.code for kind in KINDS]
    assert len(codes) == len(set(codes))
    for operation in OPERATIONS:
        assert set(operation.problems) <= set(codes), operation.path


def test_waits_are_told() -> None:
    """Whatever may pass by itself says when to come back."""
    for kind in KINDS:
        assert (kind.retry_after_s is not None) == (kind.status in {429, 503}), kind


def test_documented_answers() -> None:
    """Each operation has its answer, problems of the right type, and a body where it takes one."""
    document = json.loads(openapi())
    for operation in OPERATIONS:
        described = document["paths"][operation.path][operation.method]
        assert str(operation.status) in described["responses"]
        assert ("requestBody" in described) == (operation.body is not None)
        for status, response in described["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == [TYPE]


def test_references_lead_somewhere() -> None:
    """No schema is missing."""
    text = openapi()
    schemas = json.loads(text)["components"]["schemas"]
    names = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names
    assert names <= set(schemas)


class _Page(HTMLParser):
    """What a page links to, loads, and where it can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(found)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.add(found["href"] or "")


def test_the_page_for_people() -> None:
    """It has every route and schema, its links lead somewhere, and it fetches nothing."""
    document = json.loads(openapi())
    text = reference(document)
    page = _Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert len(page.ids) == len(OPERATIONS) + len(document["components"]["schemas"])
    assert page.links - {f"#{one}" for one in page.ids} == {"/openapi.json"}
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert not page.attributes & {"style", "src", "onclick"}
    for operation in OPERATIONS:
        assert f"<code>{operation.path}</code>" in text
    # The style is let in by its hash, which is why nothing may change it on the way.
    assert f"<style>{STYLE}</style>" in text
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in reference_headers()["Content-Security-Policy"]


def test_descriptions_are_no_markup() -> None:
    """Whatever a description says is shown as it is written."""
    document = json.loads(openapi())
    document["paths"]["/livez"]["get"]["summary"] = "<script>`<b>`</script>"
    assert "&lt;script&gt;<code>&lt;b&gt;</code>&lt;/script&gt;" in reference(document)
