"""The original interface: what it answers, also to requests that are wrong."""

import json

import http_client
import pytest
from harness import eventually

KEY_BYTES_MAX = 4096
VALUE_BYTES_MAX = 8 << 20

PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "retryable", "request_id"}


def expect_problem(answer, status, outcome=None):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert PROBLEM_FIELDS <= problem.keys(), problem
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert isinstance(problem["retryable"], bool)
    if outcome:
        assert problem["outcome"] == outcome
    return problem


@pytest.fixture(params=["leader", "follower"])
def node(request, cluster):
    """Every answer is the same from a leader and from a follower."""
    return cluster.leader() if request.param == "leader" else cluster.followers()[0]


def test_Keys_WrittenReadAndDeleted_AnswerAsDocumented(node):
    for method in ("PUT", "POST"):
        answer = node.request(method, "/1", {"Key": "k", "Value": method})
        assert (answer.status, answer.body) == (204, b"")
        answer = node.get(1, "k")
        assert (answer.status, answer.text()) == (200, method + "\n")
        assert answer.headers["Content-Type"].startswith("text/plain")
    assert node.delete(1, "k").status == 204
    expect_problem(node.get(1, "k"), 404)
    assert node.delete(1, "k").status == 204


def test_Writes_AreSeenByReadsOfEveryNode_AtOnce(cluster):
    nodes = list(cluster)
    for i in range(30):
        assert nodes[i % 3].put(1, "counter", str(i)).status == 204
        assert nodes[(i + 1) % 3].get(1, "counter").text() == f"{i}\n"
        assert nodes[(i + 2) % 3].get(1, "counter").text() == f"{i}\n"


@pytest.mark.parametrize(
    "key",
    ["a/b", "mgmt/nodes", "sp ace", "%2F", "?q=1#f", "\u00fc\u20ac\U0001f600", "\x00", ".", ".."],
    ids=ascii,
)
def test_Key_PercentEncoded_IsTheSameKeyAsInJson(node, key):
    assert node.put(1, key, "value of " + key).status == 204
    assert node.get(1, key).body == f"value of {key}\n".encode()
    assert node.delete(1, key).status == 204
    assert node.get(1, key).status == 404


def test_Key_OfArbitraryBytes_IsAccepted(node):
    every_byte = bytes(range(256))
    assert node.get(1, every_byte).status == 404
    assert node.delete(1, every_byte).status == 204


def test_Value_EmptyOrWithLineEnds_ComesBackAsItWas(node):
    for value in ("", "\n", "a\r\nb\n", "\u0000", "\U0001f600"):
        assert node.put(1, "v", value).status == 204
        assert node.get(1, "v").body == value.encode() + b"\n"


def test_Key_UpToTheLimit_IsTakenAndNotPastIt(node):
    longest = "k" * KEY_BYTES_MAX
    assert node.put(1, longest, "v").status == 204
    assert node.get(1, longest).text() == "v\n"
    expect_problem(node.put(1, longest + "k", "v"), 413, "not_applied")
    expect_problem(node.get(1, longest + "k"), 413)
    expect_problem(node.delete(1, longest + "k"), 413, "not_applied")
    # The limit is in bytes, however they are spelt.
    assert node.put(1, "\u20ac" * (KEY_BYTES_MAX // 3), "v").status == 204
    expect_problem(node.put(1, "\u20ac" * (KEY_BYTES_MAX // 3 + 1), "v"), 413, "not_applied")


def test_Value_UpToTheLimit_IsTakenAndNotPastIt(cluster):
    node = cluster.followers()[0]
    largest = "v" * VALUE_BYTES_MAX
    assert node.put(1, "big", largest).status == 204
    assert cluster.leader().get(1, "big").body == largest.encode() + b"\n"
    expect_problem(node.put(1, "big", largest + "v"), 413, "not_applied")
    assert node.delete(1, "big").status == 204


def test_Body_FarPastEveryLimit_IsRefusedWithoutReadingIt(cluster):
    head = b"PUT /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    answer = http_client.raw_exchange(cluster[1].api_port, head)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"Key"',
        b"not json",
        b"{}",
        b'{"Key":"k"}',
        b'{"Value":"v"}',
        b'{"Key":1,"Value":"v"}',
        b'{"Key":"k","Value":2}',
        b'{"Key":"k","Value":null}',
        b'{"Key":["k"],"Value":"v"}',
        b'{"Key":"","Value":"v"}',
        b'{"Key":"k","Value":"v"} trailing',
        b'{"Key":"k","Value":"\xff\xfe"}',
        b'{"Key":"k","Value":"\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
    ids=lambda body: body[:28].decode("latin-1"),
)
def test_Body_Malformed_Is400AndNotApplied(cluster, body):
    expect_problem(cluster[1].request("PUT", "/1", body), 400, "not_applied")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"GroupID":9}',
        b'{"IDs":[1]}',
        b'{"GroupID":"9","IDs":[1]}',
        b'{"GroupID":-9,"IDs":[1]}',
        b'{"GroupID":9.5,"IDs":[1]}',
        b'{"GroupID":0,"IDs":[1]}',
        b'{"GroupID":9,"IDs":[]}',
        b'{"GroupID":9,"IDs":["1"]}',
        b'{"GroupID":9,"IDs":[1,1]}',
        b'{"GroupID":9,"IDs":[0]}',
        b'{"GroupID":9,"IDs":[77]}',
        b'{"GroupID":9,"IDs":[1,77]}',
        b'{"GroupID":9,"IDs":1}',
        b'{"GroupID":9,"IDs":[1],"JoinAddr":5}',
    ],
    ids=lambda body: body.decode(),
)
def test_GroupRequest_Malformed_Is400AndNothingIsMade(cluster, body):
    expect_problem(cluster[1].request("PUT", "/mgmt/groups", body), 400)
    assert cluster[1].get(9, "k").status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/1", {"PUT", "POST"}),
        ("DELETE", "/1", {"PUT", "POST"}),
        ("PATCH", "/1", {"PUT", "POST"}),
        ("PUT", "/1/key", {"GET", "DELETE"}),
        ("POST", "/1/key", {"GET", "DELETE"}),
        ("GET", "/mgmt/groups", {"PUT", "POST"}),
        ("POST", "/1/mgmt/nodes", {"GET"}),
        ("PATCH", "/1/mgmt/nodes/1", {"DELETE"}),
        ("BREW", "/1/key", {"GET", "DELETE"}),
        ("POST", "/livez", {"GET"}),
        ("DELETE", "/metrics", {"GET"}),
    ],
)
def test_Method_Unknown_Is405WithAllow(cluster, method, path, allowed):
    answer = cluster[1].request(method, path, b"" if method in ("POST", "PUT", "PATCH") else None)
    expect_problem(answer, 405)
    assert allowed <= {word.strip() for word in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize("path", ["/77/key", "/77/mgmt/nodes", "/18446744073709551615/key"])
def test_Group_NobodyKnows_Is404(node, path):
    expect_problem(node.request("GET", path), 404)


def test_Write_ToAGroupNobodyKnows_Is404AndNotApplied(node):
    expect_problem(node.put(77, "key", "value"), 404, "not_applied")


@pytest.mark.parametrize("path", ["/18446744073709551616/key", "/-1/key", "/abc/key", "/abc"])
def test_Group_NotANumber_IsTheClientsFault(cluster, path):
    answer = cluster[1].request("GET", path)
    expect_problem(answer, answer.status)
    assert 400 <= answer.status < 500


@pytest.mark.parametrize("path", ["/1/%zz", "/1/%4", "/1/%"])
def test_Key_BadlyEncoded_Is400(cluster, path):
    expect_problem(cluster[1].request("GET", path), 400)


@pytest.mark.parametrize(
    "data",
    [
        b"complete nonsense\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /1/k HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n",
        b"GET /1/k HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"y" * 70_000 + b"\r\n\r\n",
        b"GET /1/" + b"k" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["words", "bytes", "version", "length", "header", "target"],
)
def test_Request_NotHttp_IsAnsweredWithTheClientsFaultAndClosed(cluster, data):
    answer = http_client.raw_exchange(cluster[1].api_port, data)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]


def test_Request_Pipelined_IsAnsweredInOrder(cluster):
    assert cluster[1].put(1, "p1", "one").status == 204
    assert cluster[1].put(1, "p2", "two").status == 204
    data = b"GET /1/p1 HTTP/1.1\r\nHost: x\r\n\r\nGET /1/none HTTP/1.1\r\nHost: x\r\n\r\n"
    data += b"GET /1/p2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = http_client.raw_exchange(cluster[1].api_port, data)
    places = [answer.find(part) for part in (b"one\n", b"HTTP/1.1 404 ", b"two\n")]
    assert -1 not in places and places == sorted(places), answer


def test_Body_Chunked_IsAccepted(cluster):
    data = b"PUT /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    body = b'{"Key":"chunked","Value":"yes"}'
    data += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert http_client.raw_exchange(cluster[1].api_port, data).startswith(b"HTTP/1.1 204 ")
    assert cluster[2].get(1, "chunked").text() == "yes\n"


def test_Expect100Continue_IsAnsweredBeforeTheBody(cluster):
    # curl sends it for bodies past a mebibyte and would wait a second for the answer.
    body = json.dumps({"Key": "expected", "Value": "yes"}).encode()
    head = b"PUT /1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    answer = http_client.raw_exchange(cluster[1].api_port, head + body)
    assert b"HTTP/1.1 204 " in answer
    assert cluster[1].get(1, "expected").text() == "yes\n"


def test_Answers_CarryWhereTheyComeFrom(cluster):
    write = cluster[1].put(1, "k", "v")
    reads = [node.get(1, "k") for node in cluster]
    for answer in [write, *reads, cluster[1].get(1, "no such key")]:
        assert answer.headers["X-Request-Id"]
        assert answer.headers["Multiraft-Group"] == "1"
        assert int(answer.headers["Multiraft-Term"]) >= 1
        assert int(answer.headers["Multiraft-Index"]) >= 1
    for node, read in zip(cluster, reads, strict=True):
        assert read.headers["Multiraft-Served-By"] == str(node.id)
        assert int(read.headers["Multiraft-Index"]) >= int(write.headers["Multiraft-Index"])
    ids = {answer.headers["X-Request-Id"] for answer in [write, *reads]}
    assert len(ids) == 4


def test_RequestId_GivenByTheClient_IsKept(cluster):
    answer = cluster[1].request("GET", "/1/k", headers={"X-Request-Id": "mine-42"})
    assert answer.headers["X-Request-Id"] == "mine-42"


def test_Probes_AndListings_Answer(cluster):
    for node in cluster:
        assert node.request("GET", "/livez").status == 200
        assert node.request("GET", "/readyz").status == 200
        assert node.request("GET", "/readyz?verbose").body
        metrics = node.request("GET", "/metrics")
        assert metrics.status == 200 and b"# TYPE" in metrics.body
        groups = node.request("GET", "/v1/groups")
        assert groups.status == 200 and groups.json()
        group = node.request("GET", "/v1/groups/1").json()
        assert group["term"] >= 1 and group["applied"] >= 1
        assert len(group["members"]) == 3
        nodes = node.request("GET", "/v1/nodes")
        assert nodes.status == 200 and nodes.json()


def test_Connections_HundredsIdle_DoNotStopOthers(cluster):
    idle = [
        http_client.http.client.HTTPConnection("127.0.0.1", cluster[1].api_port, timeout=10)
        for _ in range(300)
    ]
    try:
        for connection in idle:
            connection.connect()
        assert cluster[1].put(1, "k", "v").status == 204
        assert http_client.exchange(idle[299], "GET", "/1/k").text() == "v\n"
    finally:
        for connection in idle:
            connection.close()
    eventually(lambda: cluster[1].get(1, "k").status == 200, "serving afterwards")
