"""What a node says of groups that it does not host: where they are, and all of them in pages."""

from harness import curl, eventually


def four_nodes_with_a_group_on_three(new_cluster):
    cluster = new_cluster()
    first = cluster.add(1).start().wait_ready()
    for node_id in (2, 3, 4):
        cluster.add(node_id, join=first).start().wait_ready()
    body = {"GroupID": 2, "IDs": [1, 2, 3]}
    assert first.request("PUT", "/mgmt/groups", body, timeout=30).status == 200
    assert first.put(2, "key", "value").status == 204
    return cluster


def test_Redirect_LeadsToALiveMember_WhileAnotherIsDown(new_cluster):
    cluster = four_nodes_with_a_group_on_three(new_cluster)
    for dead in (1, 2):
        cluster[dead].kill()
        eventually(
            lambda: curl("-L", f"{cluster[4].url}/2/key")[1:] == (200, "value\n"),
            "an answer through the node without a replica",
        )
        cluster[dead].start().wait_ready()


def test_Redirect_NamesTheLeader_AndAfterItsDeathTheNextOne(new_cluster):
    cluster = four_nodes_with_a_group_on_three(new_cluster)
    by_port = {str(cluster[n].api_port): n for n in (1, 2, 3)}

    def sent_to():
        answer = cluster[4].get(2, "key")
        if answer.status != 307:
            return None
        return by_port[answer.headers["Location"].split("/")[2].split(":")[1]]

    leading = [m["id"] for m in cluster[4].members(2) if m.get("leader")]
    assert leading == [cluster.leader(2).id]
    answer = cluster[4].request("DELETE", "/77/mgmt/nodes/1")
    assert answer.status == 404 and answer.json()["code"] == "no_such_group"
    for _ in range(2):
        leader = cluster.leader(2).id
        eventually(lambda leader=leader: sent_to() == leader, "the leader is named")
        cluster[leader].kill()
        # While the others elect nobody is sent to the dead once it is known to be dead.
        eventually(lambda leader=leader: sent_to() not in (leader, None), "another is named")
        eventually(
            lambda leader=leader: cluster.leader(2).id not in (leader,)
            and sent_to() == cluster.leader(2).id,
            "the next leader is named",
        )
        for _ in range(20):
            assert sent_to() != leader
        cluster[leader].start().wait_ready()


def test_Redirect_NobodyAlive_IsUnavailable(new_cluster):
    cluster = four_nodes_with_a_group_on_three(new_cluster)
    for dead in (1, 2, 3):
        cluster[dead].kill()
    # A moment later all of them count as dead; nobody is sent to them.
    eventually(lambda: cluster[4].get(2, "key").status in (503, 307), "an answer")
    assert cluster[4].request("GET", "/livez").status == 200


def test_ListOfGroups_InPages_HasEachGroupOnce(new_cluster):
    cluster = new_cluster()
    node = cluster.add(1).start().wait_ready()
    for group in range(2, 9):
        body = {"GroupID": group, "IDs": [1]}
        assert node.request("PUT", "/mgmt/groups", body, timeout=30).status == 200
    seen, target = [], "/v1/groups?limit=3"
    while target:
        page = node.request("GET", target).json()
        assert len(page["groups"]) <= 3
        seen += [group["id"] for group in page["groups"]]
        token = page.get("next_page_token")
        target = f"/v1/groups?limit=3&page_token={token}" if token else None
    assert seen == list(range(9))
    nodes = node.request("GET", "/v1/nodes").json()["nodes"]
    assert nodes[0]["groups"] == list(range(1, 9))
