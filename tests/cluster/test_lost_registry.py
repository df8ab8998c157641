"""Group 0 without the majority of its voters: "The registry is lost" of docs/operations.md."""

import shutil

from harness import eventually

FLAGS = ("-log_segment_mb=9", "-election_ms=500", "-heartbeat_ms=50")
FORCE = ["-force_new_registry"]


def create_group(node, group, members):
    return node.request("PUT", "/mgmt/groups", {"GroupID": group, "IDs": members}, timeout=30)


def registry(node):
    return node.request("GET", "/v1/groups/0").json()


def voters_of(node):
    return [m["id"] for m in registry(node)["members"] if m["type"] == "voter"]


class Roles:
    """Four nodes: group 0 on three voters, group 1 on all, groups 2 and 3 on all but one."""

    def __init__(self, new_cluster):
        self.cluster = new_cluster(flags=FLAGS).start(4)
        first = self.cluster[1]
        eventually(lambda: len(voters_of(first)) == 3, "group 0 has three voters")
        self.cluster.wait_voters(1, [1, 2, 3, 4])
        voters = voters_of(first)
        self.lost = [self.cluster[n] for n in voters[:2]]
        self.survivors = [n for n in self.cluster if n not in self.lost]
        self.members = sorted(n.id for n in [self.lost[1], *self.survivors])
        assert create_group(first, 2, self.members).status == 200
        assert self.survivors[0].put(2, "key", "value").status == 204
        assert self.survivors[0].put(1, "key", "in group 1").status == 204
        assert create_group(first, 3, self.members).status == 200

    def lose_registry(self):
        for node in self.lost:
            node.kill()
        for node in self.survivors:
            eventually(
                lambda node=node: node.put(2, "later", "v").status == 204,
                "group 2 has its majority and goes on",
            )

    def force(self):
        """As documented: the survivor that has most of group 0, once with the flag."""
        chosen = max(self.survivors, key=lambda n: registry(n)["last_index"])
        chosen.stop()
        return chosen.start(FORCE)

    def recovered(self):
        for node in self.survivors:
            eventually(
                lambda node=node: cluster_info(node).get("registry_leader"),
                f"node {node.id} knows a leader of group 0",
            )


def cluster_info(node):
    """Nothing while the node starts."""
    try:
        return node.request("GET", "/v1/cluster").json()
    except OSError:
        return {}


def has_groups(node, count):
    said = cluster_info(node)
    return said.get("registry_leader") and said["groups"] == count


def test_MajorityOfGroup0IsLost_ASurvivorMakesItAgain_TheOthersFollow(new_cluster):
    roles = Roles(new_cluster)
    roles.lose_registry()
    chosen = roles.force()
    roles.recovered()
    # The groups are known, also the last one, and those with a majority never stopped.
    ids = [node.id for node in roles.survivors]
    for node in roles.survivors:
        eventually(lambda node=node: node.get(2, "key").text() == "value\n", "group 2 is read")
        eventually(lambda node=node: node.put(3, "key", "v").status == 204, "group 3 serves")
    # The cluster can be changed again.
    answer = create_group(roles.survivors[1], 5, ids)
    assert answer.status == 200, answer
    assert all(node.is_alive() for node in roles.survivors) and chosen.is_alive()
    # Nodes that were believed lost come back with their disks, and find the new group 0, though
    # they are the majority of the former one.
    for node in roles.lost:
        node.start()
    for node in roles.cluster:
        eventually(lambda node=node: has_groups(node, 4), f"node {node.id} has the new registry")
        assert node.is_alive()
    for node in roles.cluster:
        eventually(
            lambda node=node: node.get(1, "key").text() == "in group 1\n",
            f"group 1 is read through node {node.id}",
        )
    answer = create_group(roles.lost[0], 6, [1, 2, 3])
    assert answer.status == 200, answer
    assert roles.cluster[1].put(6, "key", "v").status == 204
    # It restarts as any cluster does.
    for node in roles.cluster:
        node.stop()
    for node in roles.cluster:
        node.start()
    for node in roles.cluster:
        node.wait_ready()
        eventually(lambda node=node: node.put(1, "end", "v").status == 204, "it serves again")


def test_LostNodes_AreReplacedInTheNewRegistry(new_cluster):
    roles = Roles(new_cluster)
    roles.lose_registry()
    chosen = roles.force()
    roles.recovered()
    for node in roles.lost:
        shutil.rmtree(node.state_dir)
        node.join = chosen.raft_address
        node.start(["-replace_lost_disk"])
    for node in roles.lost:
        node.wait_ready()
    roles.cluster.wait_voters(2, roles.members)
    roles.cluster.wait_voters(3, roles.members)
    eventually(lambda: len(voters_of(chosen)) == 3, "group 0 has three voters again")


def test_MajorityIsThere_TheFlagIsRefused_AndNothingChanges(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    assert cluster[1].put(1, "key", "value").status == 204
    cluster[3].stop()
    cluster[3].start(FORCE)
    assert cluster[3].wait_exit() == 3
    said = cluster[3].log_path.read_text()
    assert "-force_new_registry: " in said and "start without the flag" in said
    cluster[3].start().wait_ready()
    assert create_group(cluster[3], 2, [1, 2, 3]).status == 200


def test_NodeKilledWhileItMakesGroup0Again_GoesOnAtItsNextStart(new_cluster):
    roles = Roles(new_cluster)
    roles.lose_registry()
    chosen = roles.force()
    plan = chosen.state_dir / "new_registry"
    eventually(
        lambda: plan.exists() or "group 0 is there again" in chosen.log_path.read_text(), "the plan"
    )
    chosen.kill()
    chosen.start()
    for node in roles.survivors:
        eventually(lambda node=node: has_groups(node, 3), "the new registry")
    eventually(lambda: not plan.exists(), "the plan is carried out")
    ids = [node.id for node in roles.survivors]
    assert create_group(roles.survivors[1], 5, ids).status == 200
