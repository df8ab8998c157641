"""Groups and members: made, changed, removed, and asked for at the wrong node."""

from harness import curl, eventually


def make_group(node, group, ids):
    return node.request("PUT", "/mgmt/groups", {"GroupID": group, "IDs": ids})


def test_Group_MadeOnListedNodes_ServesAndIsIdempotent(cluster):
    assert make_group(cluster[2], 20, [1, 2, 3]).status == 200
    for node in cluster:
        assert node.put(20, f"from-{node.id}", "v").status == 204
    assert make_group(cluster[1], 20, [1, 2, 3]).status == 200
    assert make_group(cluster[3], 20, [3, 1, 2]).status == 200  # The same set.
    conflict = make_group(cluster[1], 20, [1, 2])
    assert conflict.status == 409 and conflict.json()["status"] == 409
    assert cluster[3].get(20, "from-1").text() == "v\n"


def test_Groups_KeepTheirKeysApart(cluster):
    assert make_group(cluster[1], 21, [1, 2, 3]).status == 200
    assert cluster[1].put(1, "same", "in 1").status == 204
    assert cluster[1].put(21, "same", "in 21").status == 204
    assert cluster[2].get(1, "same").text() == "in 1\n"
    assert cluster[2].get(21, "same").text() == "in 21\n"
    assert cluster[3].delete(21, "same").status == 204
    assert cluster[2].get(1, "same").text() == "in 1\n"


def test_Group_AskedForAtANodeWithoutIt_IsRedirectedToAMember(cluster):
    assert make_group(cluster[1], 22, [1, 2]).status == 200
    stranger = cluster[3]
    members = {f"127.0.0.1:{cluster[1].api_port}", f"127.0.0.1:{cluster[2].api_port}"}

    answer = eventually(
        lambda: (a := stranger.get(22, "k")).status == 307 and a, "node 3 knows of group 22"
    )
    assert answer.headers["Location"] in {f"http://{member}/22/k" for member in members}
    assert stranger.put(22, "k", "v").status == 307
    assert stranger.request("DELETE", "/22/a%2Fb").headers["Location"].endswith("/22/a%2Fb")
    # Where an address has no host, the one by which the client came is right.
    answer = stranger.request("GET", "/22/k", headers={"Host": f"localhost:{stranger.api_port}"})
    assert answer.headers["Location"].startswith("http://localhost:")

    write = ("-X", "PUT", "-d", '{"Key":"k","Value":"v"}')
    assert curl("-L", f"{stranger.url}/22", *write) == (0, 204, "")
    assert curl("-L", f"{stranger.url}/22/k") == (0, 200, "v\n")
    assert curl("-L", f"{stranger.url}/22/k", "-X", "DELETE") == (0, 204, "")
    assert [m["id"] for m in cluster[1].members(22)] == [1, 2]


def test_Redirects_TurnedOff_NameTheMembersInstead(new_cluster):
    cluster = new_cluster()
    one = cluster.add(1).start().wait_ready()
    two = cluster.add(2, join=one, flags=["-redirect=false"]).start().wait_ready()
    cluster.wait_voters(1, [1, 2])
    assert make_group(one, 2, [1]).status == 200
    answer = eventually(lambda: (a := two.get(2, "k")).status == 421 and a, "node 2 knows group 2")
    assert str(one.api_port) in answer.text()
    problem = two.put(2, "k", "v").json()
    assert problem["status"] == 421 and problem["outcome"] == "not_applied"


def test_Members_Listed_InIdOrderWithOneLeader(cluster):
    for node in cluster:
        members = node.members(1)
        assert [m["id"] for m in members] == [1, 2, 3]
        assert [m["addr"] for m in members] == [n.raft_address for n in cluster]
        assert all(m["type"] == "voter" for m in members)
        leaders = [m for m in members if "leader" in m]
        assert len(leaders) == 1 and leaders[0]["leader"] is True


def test_Member_Unknown_Is404(cluster):
    for member in ("99", "0", "none", "18446744073709551616"):
        answer = cluster[1].request("DELETE", f"/1/mgmt/nodes/{member}")
        assert answer.status in ((404,) if member == "99" else (400, 404)), answer
    assert [m["id"] for m in cluster[1].members(1)] == [1, 2, 3]


def test_Member_LastVoter_IsNotRemoved(new_cluster):
    node = new_cluster().add(1).start().wait_ready()
    answer = node.request("DELETE", "/1/mgmt/nodes/1")
    assert answer.status == 409, answer
    assert node.put(1, "k", "v").status == 204


def test_Member_RemovedWhileItLeads_LeavesAndTheGroupGoesOn(new_cluster):
    cluster = new_cluster().start(3)
    leader = cluster.leader()
    assert cluster[1].put(1, "before", "v").status == 204
    other = cluster.followers()[0]
    assert other.request("DELETE", f"/1/mgmt/nodes/{leader.id}", timeout=30).status == 200
    assert leader.wait_exit() == 0
    rest = [node for node in cluster if node is not leader]
    eventually(lambda: rest[0].put(1, "after", "v").status == 204, "writes after the removal")
    for node in rest:
        assert node.get(1, "before").text() == "v\n"
        assert node.get(1, "after").text() == "v\n"
        assert leader.id not in [m["id"] for m in node.members(1)]


def test_Member_RemovedFromOneOfTwoGroups_KeepsTheOther(new_cluster):
    cluster = new_cluster().start(3)
    assert make_group(cluster[1], 2, [1, 2, 3]).status == 200
    assert cluster[1].put(1, "k", "one").status == 204
    assert cluster[1].put(2, "k", "two").status == 204
    assert cluster[2].request("DELETE", "/1/mgmt/nodes/3").status == 200
    three = cluster[3]
    eventually(lambda: three.get(1, "k").status == 307, "node 3 is out of group 1")
    assert three.get(2, "k").text() == "two\n"
    assert three.is_alive()
    assert cluster[1].request("DELETE", "/2/mgmt/nodes/3").status == 200
    assert three.wait_exit() == 0


def test_Member_RemovedAndBackEmpty_IsANewMember(new_cluster):
    # Under its old identity it would vote with promises that it has forgotten (trap 27).
    cluster = new_cluster().start(3)
    assert cluster[1].put(1, "k", "v").status == 204
    assert cluster[1].request("DELETE", "/1/mgmt/nodes/3").status == 200
    assert cluster[3].wait_exit() == 0
    again = cluster.add(3, join=cluster[2])
    again.state_dir = cluster.folder / "3-again"
    again.start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    assert again.get(1, "k").text() == "v\n"


def test_Group_GrownFromOneToFive_ShrunkToOne_KeepsItsData(new_cluster):
    cluster = new_cluster()
    one = cluster.add(1).start().wait_ready()
    assert one.put(1, "k", "v").status == 204
    for node_id in range(2, 6):
        cluster.add(node_id, join=one).start()
    cluster.wait_ready()
    cluster.wait_voters(1, [1, 2, 3, 4, 5])
    assert cluster[5].get(1, "k").text() == "v\n"
    for node_id in range(1, 5):
        path = f"/1/mgmt/nodes/{node_id}"
        answer = eventually(
            lambda p=path: (a := cluster[5].request("DELETE", p, timeout=30)).status != 503 and a,
            f"removal of node {node_id} is decided",
        )
        assert answer.status == 200, answer
        assert cluster[node_id].wait_exit() == 0
    assert cluster[5].get(1, "k").text() == "v\n"
    assert cluster[5].put(1, "k", "w").status == 204
