"""Nodes that come back under other addresses, and nodes that come back as somebody else."""

import shutil

from harness import PORTS, Node, eventually
from raft_wire import CALL, MESSAGES, PROPOSE, RaftConnection, removed_notice, request

FLAGS = ("-log_segment_mb=9", "-election_ms=500", "-heartbeat_ms=50")


def move(node):
    node.raft_port = PORTS.take()
    node.api_port = PORTS.take()


def serves(cluster):
    for node in cluster:
        node.wait_ready()
    for node in cluster:
        eventually(lambda: node.put(1, f"from-{node.id}", "v").status == 204, f"{node.id} writes")
        assert node.get(1, "key").text() == "value\n"


def test_TwoOfThreeNodes_MoveAtOnce_AreFoundAgain(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    assert cluster[1].put(1, "key", "value").status == 204
    for node in (cluster[2], cluster[3]):
        node.stop()
    for node in (cluster[2], cluster[3]):
        node.join = None  # What node 1 was is in their state.
        move(node)
        node.start()
    serves(cluster)
    wanted = {n.id: f":{n.raft_port}" for n in cluster}
    eventually(
        lambda: wanted
        == {
            n["id"]: n["raft_address"]
            for n in cluster[1].request("GET", "/v1/nodes").json()["nodes"]
        },
        "the registry has the addresses",
    )


def test_AllNodes_MoveAtOnce_FindEachOtherByJoin(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    assert cluster[1].put(1, "key", "value").status == 204
    for node in cluster:
        node.stop()
    for node in cluster:
        move(node)
    for node in cluster:
        # The same list for all, the node itself included.
        node.join = f"{cluster[3].raft_address},{cluster[1].raft_address}"
        node.start()
    serves(cluster)


def test_FirstNode_WithAnEmptyDisk_DoesNotMakeAnotherCluster(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    assert cluster[1].put(1, "key", "value").status == 204
    cluster[1].kill()
    shutil.rmtree(cluster[1].state_dir)
    eventually(lambda: cluster[2].put(1, "other", "value").status == 204, "another leader")
    cluster[1].start()
    assert cluster[1].wait_exit() == 3
    said = cluster[1].log_path.read_text()
    assert said.count("ready") == 1, "it was never ready with an empty state"
    assert "-replace_lost_disk" in said
    # As it says.
    cluster[1].join = cluster[2].raft_address
    cluster[1].start(["-replace_lost_disk"]).wait_ready()
    eventually(lambda: cluster[1].get(1, "key").text() == "value\n", "the data is back")


def test_MistypedId_DoesNotTakeOverANodeThatIsAway(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    assert cluster[1].put(1, "key", "value").status == 204
    cluster[3].stop()
    stranger = Node(cluster.folder / "stranger", 3, FLAGS)
    stranger.join = cluster[1].raft_address
    stranger.start()
    assert stranger.wait_exit() == 4
    assert "-replace_lost_disk" in stranger.tail()
    cluster[3].start().wait_ready()
    assert cluster[3].get(1, "key").text() == "value\n"


def test_NodeWhoseIdWasTakenOver_SaysSo_AndKeepsItsState(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    cluster[3].stop()
    heir = Node(cluster.folder / "heir", 3, FLAGS)
    heir.join = cluster[1].raft_address
    heir.start(["-replace_lost_disk"])
    try:
        heir.wait_ready()
        assert "takes the place of" in "".join(n.log_path.read_text() for n in cluster)
        cluster[3].start()
        assert cluster[3].wait_exit() == 3
        assert "taken over" in cluster[3].tail()
        assert (cluster[3].state_dir / "log").is_dir()
    finally:
        heir.kill()


def test_JoinOfANodeThatHasMadeItsOwnCluster_IsRefused(new_cluster):
    cluster = new_cluster(flags=FLAGS)
    one = cluster.add(1).start().wait_ready()
    two = cluster.add(2).start().wait_ready()
    two.stop()
    two.join = one.raft_address
    two.start()
    assert two.wait_exit() == 3
    assert "another cluster" in two.tail() and "empty state directory" in two.tail()


def test_Strangers_LearnNothing_AndChangeNothing(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    replicas = {
        m["id"]: int(m["replica"])
        for m in cluster[1].request("GET", "/v1/groups/0").json()["members"]
    }
    port = cluster[3].raft_port
    for kind, named in ((MESSAGES, 1), (CALL, 1), (CALL, 0)):
        with RaftConnection(port) as connection:
            assert connection.greet(kind, named, 77)["cluster"] == 0
    # Even one that knows the cluster.
    secret = int(next(
        word for word in cluster[1].log_path.read_text().split("new cluster ")[1].split()
    ))
    with RaftConnection(port) as connection:
        assert connection.greet(MESSAGES, secret, 77, to=3)["code"] != 0
    with RaftConnection(port) as connection:
        assert connection.greet(CALL, secret, 78)["code"] == 0
        assert connection.ask(removed_notice(0, replicas[3])) != 0
    with RaftConnection(port) as connection:
        assert connection.greet(CALL, secret, 78)["code"] == 0
        mark_node_leaving = b"\x01\x09" + (3).to_bytes(8, "little")
        assert connection.ask(request(PROPOSE, 0, mark_node_leaving)) != 0
    assert cluster[3].put(1, "key", "value").status == 204
    assert cluster[3].is_alive()
