"""Starting in any order, and everything being there again after kill -9."""

import http_client
from harness import PORTS, eventually


def test_Cluster_AllNodesKilledAtOnce_HasEverythingAgain(new_cluster):
    cluster = new_cluster().start(3)
    values = {f"key-{i}": f"value-{i}" for i in range(60)}
    for i, (key, value) in enumerate(values.items()):
        assert cluster[i % 3 + 1].put(1, key, value).status == 204
    assert cluster[1].delete(1, "key-0").status == 204
    assert cluster[1].put(1, "key-1", "second").status == 204
    values.pop("key-0")
    values["key-1"] = "second"

    for order in ([3, 2, 1], [2, 3, 1]):
        cluster.kill_all()
        for node_id in order:
            cluster[node_id].start()
        cluster.wait_ready()
        for node in cluster:
            assert node.get(1, "key-0").status == 404
            for key, value in values.items():
                assert node.get(1, key).text() == value + "\n"


def test_Cluster_JoinersStartedFirst_FormsOnceTheFirstNodeIsThere(new_cluster):
    cluster = new_cluster()
    first = cluster.add(1)
    joiners = [cluster.add(3, join=first), cluster.add(2, join=first)]
    for node in joiners:
        node.start()
    # They are up and say that they cannot serve; their target does not answer yet.
    for node in joiners:
        eventually(lambda n=node: is_waiting(n), f"node {node.id} waits for its target")
    first.start()
    cluster.wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    assert joiners[0].put(1, "key", "value").status == 204
    assert joiners[1].get(1, "key").text() == "value\n"


def is_waiting(node):
    assert node.is_alive(), node.tail()
    try:
        live = node.request("GET", "/livez").status
        ready = node.request("GET", "/readyz").status
    except OSError:
        return False
    return live == 200 and ready == 503


def test_Node_JoinsThroughAnyMember_NotOnlyTheFirst(new_cluster):
    cluster = new_cluster()
    one = cluster.add(1).start().wait_ready()
    two = cluster.add(2, join=one).start().wait_ready()
    cluster.wait_voters(1, [1, 2])
    cluster.add(3, join=two).start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3])


def test_Node_RestartedWithState_IgnoresJoin(new_cluster):
    cluster = new_cluster().start(3)
    two = cluster[2]
    assert two.put(1, "key", "value").status == 204
    two.kill()
    two.join = f":{PORTS.take()}"  # Nobody is there.
    two.start().wait_ready()
    assert two.get(1, "key").text() == "value\n"
    assert [m["id"] for m in two.members(1)] == [1, 2, 3]


def test_Node_AwayForManyWrites_CatchesUp(new_cluster):
    cluster = new_cluster().start(3)
    away = cluster[3]
    away.kill()
    big = "x" * 100_000
    for i in range(100):
        assert cluster[1 + i % 2].put(1, f"key-{i}", f"{i}{big}").status == 204
    away.start().wait_ready()
    for i in range(0, 100, 7):
        assert away.get(1, f"key-{i}").text() == f"{i}{big}\n"


def test_Cluster_OnlyAMinorityRuns_AnswersButDoesNotServe(new_cluster):
    cluster = new_cluster().start(3)
    assert cluster[1].put(1, "key", "value").status == 204
    cluster[2].kill()
    cluster[3].kill()
    answer = cluster[1].request("PUT", "/1", {"Key": "key", "Value": "lost?"}, timeout=30)
    assert answer.status in (503, 504), answer
    assert answer.json()["outcome"] == {503: "not_applied", 504: "unknown"}[answer.status]
    assert http_client.request(cluster[1].api_port, "GET", "/livez").status == 200
    cluster[2].start().wait_ready()
    cluster[1].wait_ready()
    eventually(lambda: cluster[1].put(1, "key", "again").status == 204, "a majority writes again")
    assert cluster[2].get(1, "key").text() == "again\n"
