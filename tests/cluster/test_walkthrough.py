"""The walk-through of the README, typed as a person would type it."""

import signal

from harness import curl, eventually

OK = (0, 200)


def put(url, group, key, value):
    text = f'{{"Key":"{key}", "Value":"{value}"}}'
    assert curl("-L", f"{url}/{group}", "-X", "PUT", "-d", text) == (0, 204, "")


def expect(url, group, key, value):
    assert curl("-L", f"{url}/{group}/{key}") == (*OK, f"{value}\n")


def voters(url, group):
    status, http_status, body = curl("-L", f"{url}/{group}/mgmt/nodes")
    assert (status, http_status) == OK, body
    return body


def test_Walkthrough_FromOneNodeToTwoGroups_WorksAsWritten(new_cluster):
    cluster = new_cluster()

    # One node is a cluster.
    one = cluster.add(1).start().wait_ready()
    put(one.url, 1, "hello", "world")
    expect(one.url, 1, "hello", "world")

    # Two more join group 1; any node takes reads and writes.
    two = cluster.add(2, join=one).start()
    three = cluster.add(3, join=one).start()
    cluster.wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    for node in (one, two, three):
        put(node.url, 1, f"from-{node.id}", "any")
        for reader in (one, two, three):
            expect(reader.url, 1, f"from-{node.id}", "any")
            expect(reader.url, 1, "hello", "world")

    # A node that was away catches up.
    assert three.stop() == 0
    put(one.url, 1, "foo", "bar")
    three.start().wait_ready()
    expect(three.url, 1, "foo", "bar")

    # A second group, then a fourth node that is in that group only.
    request = '{"GroupID":2, "IDs":[1,2],"JoinAddr":":%d"}' % one.raft_port
    assert curl("-L", f"{one.url}/mgmt/groups", "-d", request, "-XPUT")[:2] == OK
    four = cluster.add(4, join=one, flags=["-initial_group_id", "2"]).start().wait_ready()
    cluster.wait_voters(2, [1, 2, 4])
    put(one.url, 1, "mykey", "1")
    expect(four.url, 1, "mykey", "1")
    assert curl(f"{four.url}/1/mykey")[1] == 307
    put(one.url, 2, "mykey", "2")
    expect(four.url, 2, "mykey", "2")
    expect(two.url, 2, "mykey", "2")

    # Without redirects the fourth node says that it is the wrong one.
    assert four.stop() == 0
    four.start(["-redirect=false"]).wait_ready()
    assert curl("-L", f"{four.url}/1/mykey")[1] == 421
    expect(four.url, 2, "mykey", "2")

    # A member that is removed from its last group shuts itself down.
    assert [m["id"] for m in one.members(1)] == [1, 2, 3]
    assert curl("-L", f"{one.url}/1/mgmt/nodes/3", "-X", "DELETE")[:2] == OK
    assert three.wait_exit() == 0
    eventually(lambda: [m["id"] for m in one.members(1)] == [1, 2], "group 1 is nodes 1 and 2")

    # Power failure: everything that was acknowledged is there again.
    del cluster.nodes[3]
    cluster.kill_all()
    for node in cluster:
        node.start()
    cluster.wait_ready()
    for node in (one, two):
        expect(node.url, 1, "hello", "world")
        expect(node.url, 1, "foo", "bar")
        expect(node.url, 1, "mykey", "1")
    for node in (one, two, four):
        expect(node.url, 2, "mykey", "2")


def test_Node_AddressWithHost_IsReachableUnderIt(new_cluster):
    cluster = new_cluster(host="127.0.0.1").start(3)
    put(cluster[2].url, 1, "key", "value")
    expect(cluster[3].url, 1, "key", "value")
    assert [m["addr"] for m in cluster[1].members(1)] == [n.raft_address for n in cluster]


def test_Node_Interrupted_StopsLikeTerminated(new_cluster):
    node = new_cluster().add(1).start().wait_ready()
    assert node.put(1, "key", "value").status == 204
    node.signal(signal.SIGINT)
    assert node.wait_exit() == 0
    node.start().wait_ready()
    assert node.get(1, "key").text() == "value\n"
