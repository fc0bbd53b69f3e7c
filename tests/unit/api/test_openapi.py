"""The OpenAPI document is true: its paths are the routes, its schemas take what the service gives and takes."""

import json
import re

import pytest

from api import openapi
from api.app import ROUTES
from ledger import catalog
from ledger.epochs import Damaged
from ledger.erasure import ErasedAccount, ErasureReceipt
from tests.support.events import requested
from tests.support.http import Service


@pytest.fixture(scope="module")
def document():
    return openapi.document()


def test_every_route_is_described_and_nothing_else(document):
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(method, path.replace(":path", "")) for method, path, _ in ROUTES}


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        assert reference.startswith("#/components/schemas/")
        assert reference.rpartition("/")[2] in schemas
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in schemas)


def test_every_event_type_has_its_schema(document):
    named = {one["$ref"].rpartition("/")[2] for one in document["components"]["schemas"]["Event"]["oneOf"]}
    assert named == set(catalog.names())


def test_the_receipt_of_an_erasure_is_described_whole(document):
    """Some of its fields are there only now and then, and the document allows no others."""
    described = document["components"]["schemas"]["Erasure"]["properties"]
    assert described.keys() == set(ErasureReceipt.__struct_fields__) - {"record"}
    for name, part in (("accounts", ErasedAccount), ("damaged", Damaged)):
        assert described[name]["items"]["properties"].keys() == set(part.__struct_fields__)


def test_path_parameters_are_those_of_the_path_and_operations_have_names(document):
    names = []
    for path, item in document["paths"].items():
        for operation in item.values():
            names.append(operation["operationId"])
            given = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert given == set(re.findall(r"{(\w+)}", path))
            assert (operation["security"] == []) == ("{ledger}" not in path)
    assert len(set(names)) == len(names)


def test_answers_hold_what_the_document_says(service: Service):
    document = service.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    receipt = service.post(requested("R-1")).json()["receipts"][0]
    assert set(receipt) == set(schemas["Receipt"]["properties"])
    page = service.get("/events?disclose=true").json()
    assert set(page) == set(schemas["Page"]["properties"])
    assert set(page["events"][1]) == set(schemas["Item"]["properties"]) - {"withheld"}  # nothing was
    consistency = service.get("/consistency?old=1").json()
    assert set(consistency) == set(schemas["Consistency"]["required"])
    state = service.get("/reservations/R-1").json()
    assert set(schemas["State"]["required"]) <= set(state)
    problem = service.get("/events?limit=0").json()
    assert problem["type"] in schemas["Problem"]["properties"]["type"]["enum"]
    assert set(schemas["Problem"]["required"]) <= set(problem)


def test_optional_parameters_are_left_out_rather_than_null(document):
    assert '"null"' not in json.dumps(
        [operation["get"]["parameters"] for operation in document["paths"].values() if "get" in operation]
    )
