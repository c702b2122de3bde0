"""The description of the interface is complete and in step with the errors."""

import json

from token_service.openapi import OPERATIONS, openapi
from token_service.problems import KINDS, TYPE


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
