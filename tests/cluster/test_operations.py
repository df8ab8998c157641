"""The procedures of docs/operations.md, carried out as they are written there."""

import shutil

from harness import PORTS, Node, curl, eventually


def groups_on_all(cluster, count):
    for group in range(1, count + 1):
        answer = cluster[1].request("PUT", "/mgmt/groups", {"GroupID": group, "IDs": [1, 2, 3]})
        assert answer.status == 200, answer
        assert cluster[1].put(group, "k", f"of {group}").status == 204


def lose_disk(node):
    node.kill()
    shutil.rmtree(node.state_dir)


def registry_members(node):
    members = node.request("GET", "/v1/groups/0").json()["members"]
    return sorted((m["id"], m["type"]) for m in members)


def test_LostDisk_EmptyDirectoryUnderTheSameId_RestoresEveryMembership(new_cluster):
    cluster = new_cluster().start(3)
    groups_on_all(cluster, 4)
    lose_disk(cluster[3])
    cluster[3].start(["-replace_lost_disk"]).wait_ready()
    for group in range(1, 5):
        cluster.wait_voters(group, [1, 2, 3])
    # Each group has a failure to spare again.
    cluster[2].kill()
    for group in range(1, 5):
        eventually(
            lambda group=group: cluster[1].put(group, "later", "v").status == 204,
            f"group {group} goes on with nodes 1 and 3",
        )
        assert cluster[3].get(group, "k").text() == f"of {group}\n"


def test_NodeRemovedFromItsLastGroup_MayBeSwitchedOffAtOnce(new_cluster):
    cluster = new_cluster().start(3)
    eventually(
        lambda: registry_members(cluster[1]) == [(n, "voter") for n in (1, 2, 3)],
        "group 0 has three voters",
    )
    assert cluster[1].request("DELETE", "/1/mgmt/nodes/3", timeout=30).status == 200
    assert 3 not in [member for member, _ in registry_members(cluster[1])]
    cluster[3].kill()
    answer = cluster[1].request("PUT", "/mgmt/groups", {"GroupID": 2, "IDs": [1, 2]}, timeout=30)
    assert answer.status == 200, answer


def test_NodeThatWillNotComeBack_IsRemovedWhileItIsDead(new_cluster):
    cluster = new_cluster().start(3)
    groups_on_all(cluster, 2)
    cluster[3].kill()
    for group in (1, 2):
        answer = cluster[1].request("DELETE", f"/{group}/mgmt/nodes/3", timeout=30)
        assert answer.status == 200, answer
    assert [n["id"] for n in cluster[1].request("GET", "/v1/nodes").json()["nodes"]] == [1, 2]
    answer = cluster[1].request("PUT", "/mgmt/groups", {"GroupID": 3, "IDs": [1, 2]}, timeout=30)
    assert answer.status == 200, answer


def test_NodeMoves_RegistersItsNewAddressesByItself(new_cluster):
    cluster = new_cluster().start(3)
    node = cluster[3]
    node.stop()
    node.raft_port, node.api_port = PORTS.take(), PORTS.take()
    node.start().wait_ready()
    eventually(
        lambda: node.raft_address
        in [n["raft_address"] for n in cluster[1].request("GET", "/v1/nodes").json()["nodes"]],
        "the new address is registered",
    )
    assert node.put(1, "moved", "v").status == 204


def add_member(cluster, group, node_id):
    path = f"/v1/groups/{group}/members"
    return cluster[1].request("POST", path, {"id": node_id, "type": "voter"}, timeout=30)


def test_NodeRemovedAndStartedAgain_GetsItsFurtherGroupsByRequest(new_cluster):
    cluster = new_cluster().start(3)
    groups_on_all(cluster, 2)
    lose_disk(cluster[3])
    for group in (1, 2):
        answer = cluster[1].request("DELETE", f"/{group}/mgmt/nodes/3", timeout=30)
        assert answer.status == 200, answer
    cluster[3].start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    answer = add_member(cluster, 2, 3)
    assert answer.status == 200, answer
    assert [m["id"] for m in answer.json()["members"]] == [1, 2, 3]
    cluster.wait_voters(2, [1, 2, 3])


def test_RemovalThatWaits_IsShownAndCalledOff(new_cluster):
    cluster = new_cluster(flags=["-election_ms", "300"]).start(3)
    cluster[3].kill()
    assert cluster[1].request("DELETE", "/1/mgmt/nodes/2", timeout=40).status == 504
    leaving = [m["id"] for m in cluster[1].members(1) if m.get("leaving")]
    assert leaving == [2]
    assert add_member(cluster, 1, 2).status == 200
    cluster[3].start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    assert not [m for m in cluster[1].members(1) if m.get("leaving")]
    assert cluster[2].is_alive()


def remove_member(cluster, group, node_id, through=1):
    path = f"/{group}/mgmt/nodes/{node_id}"
    answer = cluster[through].request("DELETE", path, timeout=30)
    assert answer.status == 200, answer


def test_Backup_OfAllDirectories_PutBackTogether_IsTheClusterOfThen(new_cluster, tmp_path):
    cluster = new_cluster().start(3)
    groups_on_all(cluster, 2)
    for node in cluster:
        assert node.stop() == 0
    for node in cluster:
        shutil.copytree(node.state_dir, tmp_path / "backup" / str(node.id))
    for node in cluster:
        node.start()
    cluster.wait_ready()
    assert cluster[1].put(1, "k", "later").status == 204
    for node in cluster:
        assert node.stop() == 0
    for node in cluster:
        shutil.rmtree(node.state_dir)
        shutil.copytree(tmp_path / "backup" / str(node.id), node.state_dir)
    for node in cluster:
        node.start()
    cluster.wait_ready()
    for group in (1, 2):
        eventually(
            lambda group=group: cluster[2].get(group, "k").status == 200, f"group {group} is read"
        )
        assert cluster[2].get(group, "k").text() == f"of {group}\n"
        assert cluster[3].put(group, "k", "new").status == 204


def test_SameJoinListOnAllNodes_IsTaken_AndAnEmptiedDiskMakesNoSecondCluster(new_cluster):
    cluster = new_cluster().start(3)
    nodes = list(cluster)
    everybody = ",".join(f"127.0.0.1:{node.raft_port}" for node in nodes)
    for node in nodes:
        node.join = everybody
        assert node.stop() == 0
        node.start().wait_ready()
    # The first node loses its disk, and a service manager starts it with its usual command.
    lose_disk(cluster[1])
    assert cluster[1].start().wait_exit() == 4
    assert "-replace_lost_disk" in cluster[1].tail()
    cluster[1].start(["-replace_lost_disk"]).wait_ready()
    cluster.wait_voters(1, [1, 2, 3])


def test_GroupMovesAway_FirstAFurtherMember_ThenOneLess(new_cluster):
    cluster = new_cluster().start(4)
    answer = cluster[1].request("PUT", "/mgmt/groups", {"GroupID": 2, "IDs": [1, 2, 3]})
    assert answer.status == 200, answer
    assert cluster[1].put(2, "k", "v").status == 204
    assert add_member(cluster, 2, 4).status == 200
    remove_member(cluster, 2, 1)
    cluster.wait_voters(2, [2, 3, 4])
    # It keeps its other groups, and sends whoever asks for this one to its members.
    assert cluster[1].is_alive()
    status, text = curl("-L", f"{cluster[1].url}/2/k")[1:]
    assert (status, text) == (200, "v\n")
    cluster[2].kill()
    eventually(lambda: cluster[4].put(2, "k", "w").status == 204, "the group goes on")


def test_LearnerAddedThroughItsOwnNode_IsAnsweredWithTheMembers(new_cluster):
    cluster = new_cluster().start(2)
    answer = cluster[1].request("PUT", "/mgmt/groups", {"GroupID": 10, "IDs": [1]})
    assert answer.status == 200, answer
    # Its replica may not have got the configuration of the group yet.
    answer = cluster[2].request(
        "POST", "/v1/groups/10/members", {"id": 2, "type": "learner"}, timeout=30
    )
    assert answer.status == 200, answer
    assert [(m["id"], m["type"]) for m in answer.json()["members"]] == [
        (1, "voter"),
        (2, "learner"),
    ]


def test_IdThatWasTakenOver_TheRightNodeComesBackEmpty(new_cluster):
    cluster = new_cluster().start(3)
    assert cluster[1].put(1, "k", "v").status == 204
    right = cluster[3]
    assert right.stop() == 0
    wrong = Node(right.state_dir.parent / "wrong", 3, right.flags)
    wrong.state_dir.parent.mkdir()
    wrong.join = right.join
    try:
        wrong.start(["-replace_lost_disk"]).wait_ready()
        eventually(lambda: wrong.get(1, "k").status == 200, "the other machine has the group")
        assert right.start().wait_exit() == 3
        remove_member(cluster, 1, 3)
        assert wrong.wait_exit() == 0
        shutil.rmtree(right.state_dir)
        right.start().wait_ready()
        cluster.wait_voters(1, [1, 2, 3])
        assert right.get(1, "k").text() == "v\n"
    finally:
        wrong.kill()


def test_ReplacedNode_IsNotReadyBeforeItHasMostOfItsGroups_AndSendsReadersElsewhere(new_cluster):
    cluster = new_cluster(flags=["-snapshot_mb_per_s", "1"]).start(3)
    groups_on_all(cluster, 12)
    for group in range(1, 13):
        for part in range(4):
            assert cluster[1].put(group, f"big{part}", "x" * 100_000).status == 204
    lose_disk(cluster[3])
    cluster[3].start(["-replace_lost_disk"])

    def follows_to_the_value(group):
        status, text = curl("-L", f"{cluster[3].url}/{group}/k")[1:]
        return (status, text) == (200, f"of {group}\n")

    eventually(lambda: follows_to_the_value(12), "the last group is read through the new node")
    for group in range(1, 13):
        assert follows_to_the_value(group)
    cluster[3].wait_ready()
    for group in range(1, 13):
        cluster.wait_voters(group, [1, 2, 3])
