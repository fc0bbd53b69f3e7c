"""Accept headers, as RFC 9110 section 12.5.1 reads them."""

import pytest
from starlette.datastructures import Headers

from api.negotiation import preferred
from api.problems import NotAcceptable

OFFERED = ("application/json", "application/octet-stream", "text/plain")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], "application/json"),
        ([""], "application/json"),
        (["*/*"], "application/json"),
        (["application/*"], "application/json"),
        (["text/*"], "text/plain"),
        (["text/html, */*;q=0.1"], "application/json"),
        (["application/octet-stream"], "application/octet-stream"),
        (["application/json;q=0.5, application/octet-stream"], "application/octet-stream"),
        (["application/json;q=0, */*"], "application/octet-stream"),
        (["text/plain; q=0.9", "application/json; q=0.2"], "text/plain"),
        (["APPLICATION/OCTET-STREAM;version=1"], "application/octet-stream"),
        (["application/json;q=high, text/plain;q=0.1"], "text/plain"),
        (["application/json;q=7, text/plain"], "application/json"),
    ],
)
def test_the_best_liked_representation_is_chosen(accept, expected):
    headers = Headers(raw=[(b"accept", one.encode()) for one in accept])
    assert preferred(headers, OFFERED) == expected


@pytest.mark.parametrize("accept", ["text/html", "*/*;q=0", "application/json;q=0", ",", "application", "a/b/c"])
def test_nothing_liked_is_refused(accept):
    with pytest.raises(NotAcceptable) as caught:
        preferred(Headers({"accept": accept}), OFFERED)
    assert caught.value.accepted == list(OFFERED)
