from __future__ import annotations

from typing import NamedTuple

import pytest

from omniroute.proto.routes import RouteTable


class Row(NamedTuple):
    method: str
    path: str


TABLE = RouteTable(
    [
        Row("GET", "/v1/models"),
        Row("POST", "/v1/models"),
        Row("GET", "/v1/models/{id*}"),
        Row("GET", "/v1/models/special"),
        Row("POST", "/v1beta/models/{model*}:generateContent"),
        Row("DELETE", "/api/keys/{id}"),
        Row("GET", "/api/keys/{id}/usage"),
    ]
)


@pytest.mark.parametrize(
    ("path", "pattern", "params"),
    [
        ("/v1/models", "/v1/models", {}),
        ("/v1/models/special", "/v1/models/special", {}),
        ("/v1/models/a", "/v1/models/{id*}", {"id": "a"}),
        ("/v1/models/vendor/a%2Fb", "/v1/models/{id*}", {"id": "vendor/a/b"}),
        ("/v1beta/models/a:b:generateContent", "/v1beta/models/{model*}:generateContent", {"model": "a:b"}),
        ("/api/keys/k%20%2f", "/api/keys/{id}", {"id": "k /"}),
        ("/api/keys/k/usage", "/api/keys/{id}/usage", {"id": "k"}),
    ],
)
def test_a_path_finds_its_row_and_its_variables(path: str, pattern: str, params: dict[str, str]) -> None:
    found = TABLE.find(path)
    assert found is not None
    methods, variables = found
    assert {row.path for row in methods.values()} == {pattern}
    assert variables == params


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/v1", "/v1/models/", "/V1/models", "/v1//models", "/v1/models?x", "/v1%2Fmodels", "/api/keys/",
        "/api/keys/a/b", "/v1beta/models/:generateContent", "/v1beta/models/a:generateContentX", "/v1/../v1/models",
    ],
)  # fmt: skip
def test_any_other_path_finds_nothing(path: str) -> None:
    assert TABLE.find(path) is None


def test_one_path_may_have_several_methods_but_not_one_twice() -> None:
    found = TABLE.find("/v1/models")
    assert found is not None
    assert list(found[0]) == ["GET", "POST"]
    with pytest.raises(ValueError, match="GET /a"):
        RouteTable([Row("GET", "/a"), Row("GET", "/a")])


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/v1/models", "GET, HEAD, OPTIONS, POST"), ("/api/keys/k", "DELETE, OPTIONS")],
)
def test_allow_names_what_a_path_takes(path: str, allow: str) -> None:
    found = TABLE.find(path)
    assert found is not None
    assert RouteTable.allow(found[0]) == allow
