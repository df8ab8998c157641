"""An older copy of a state directory under a known node id: refused, given up, and filled again."""

import json
import shutil
import subprocess

import pytest

from harness import BIN, eventually

FLAGS = ("-log_segment_mb=9", "-workers=2", "-election_ms=500", "-heartbeat_ms=50")


def life_of(node):
    done = subprocess.run(
        [str(BIN / "multiraft-log"), "inspect", "-live", f"-state_dir={node.state_dir}", "-o=json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)["node"]["life"]


def copy_of(node):
    aside = node.state_dir.with_name(f"{node.id}-copy")
    shutil.copytree(node.state_dir, aside)
    return aside


def restore(node, aside):
    shutil.rmtree(node.state_dir)
    aside.rename(node.state_dir)


def write(cluster, nodes, prefix, values, count=40):
    for i in range(count):
        key, value = f"{prefix}-{i}", f"value-{prefix}-{i}"
        node = cluster[nodes[i % len(nodes)]]
        eventually(lambda: node.put(1, key, value).status == 204, f"{key} is written")
        values[key] = value


def elect(cluster, but):
    """Makes the others elect, so that the node `but` votes."""
    leader = cluster.leader()
    if leader.id == but:
        return
    leader.kill()
    eventually(
        lambda: any(n.is_alive() and n.leader_of(1) not in (None, leader.id) for n in cluster),
        "another leader",
    )
    leader.start().wait_ready()


def said(node, text):
    return text in node.log_path.read_text(errors="replace")


def check_healed(cluster, node, values, marker):
    eventually(lambda: said(node, "older state directory"), "the node is told")
    eventually(lambda: (node.state_dir / "damaged-1" / "log").is_dir(), "the old state is put aside")
    eventually(lambda: said(node, "replicas given up"), "the replicas are given up")
    eventually(lambda: life_of(node) == 1, "a new state directory's first life")
    eventually(lambda: marker_is_there(node, marker), "the new replica has caught up")
    cluster.wait_voters(1, [1, 2, 3])
    node.wait_ready()
    for other in cluster:
        for key, value in values.items():
            assert other.get(1, key).text() == value + "\n", f"{key} at node {other.id}"
    # It counts: the group goes on without another member.
    cluster[1].kill()
    write(cluster, [2, 3], "quorum", values, count=3)
    cluster[1].start().wait_ready()


def marker_is_there(node, key):
    try:
        return node.get(1, key).status == 200
    except OSError:  # Between its two lives.
        return False


@pytest.mark.parametrize("copied", ["stopped", "running"])
def test_Copy_RestoredAfterMoreWasAcknowledged_IsGivenUpAndNothingIsLost(new_cluster, copied):
    cluster = new_cluster(flags=FLAGS).start(3)
    values = {}
    write(cluster, [1, 2, 3], "before", values)
    victim = cluster[2]
    if copied == "stopped":
        assert victim.stop() == 0
        aside = copy_of(victim)
        victim.start().wait_ready()
    else:
        aside = copy_of(victim)
    write(cluster, [1, 2, 3], "after", values)
    elect(cluster, but=2)
    write(cluster, [1, 2, 3], "later", values)
    victim.kill()
    restore(victim, aside)
    victim.start()
    check_healed(cluster, victim, values, "later-1")
    told = [line for line in victim.log_path.read_text().splitlines() if "older state dir" in line]
    assert len(told) == 1 and "node 1" in told[0] or "node 3" in told[0], told


def test_Copy_WhileTheOthersWereRestarted_IsKnownByItsLife(new_cluster):
    """They forgot how far its log was; what they wrote down is how often it was started."""
    cluster = new_cluster(flags=FLAGS).start(3)
    values = {}
    write(cluster, [1, 2, 3], "before", values)
    victim = cluster[2]
    assert victim.stop() == 0
    aside = copy_of(victim)
    victim.start().wait_ready()
    write(cluster, [1, 2, 3], "after", values)
    victim.kill()
    for other in (1, 3):
        cluster[other].kill()
    for other in (1, 3):
        cluster[other].start()
    for other in (1, 3):
        cluster[other].wait_ready()
    restore(victim, aside)
    victim.start()
    check_healed(cluster, victim, values, "after-1")


def test_Copy_OfANodeWithoutWhichNothingIsLeft_IsKept(new_cluster):
    """Two of three come back with older copies: none gives up what may be all there is."""
    cluster = new_cluster(flags=FLAGS).start(3)
    values = {}
    write(cluster, [1, 2, 3], "before", values)
    copies = {n: copy_of(cluster[n]) for n in (1, 2)}
    write(cluster, [1, 2, 3], "after", values)
    for node in (1, 2):
        cluster[node].kill()
        restore(cluster[node], copies[node])
    for node in (1, 2):
        cluster[node].start()
    for node in (1, 2):
        eventually(lambda: said(cluster[node], "has no leader on another node"), "it waits")
        assert cluster[node].is_alive()
        assert not (cluster[node].state_dir / "damaged-1").exists()


def test_Node_KilledAndRestartedManyTimes_IsNeverTakenForOlder(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    values = {}
    for turn in range(6):
        victim = cluster[turn % 3 + 1]
        others = [n.id for n in cluster if n is not victim]
        write(cluster, others, f"turn-{turn}", values, count=10)
        victim.kill()
        victim.start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3])
    for node in cluster:
        assert not said(node, "older state")
        assert life_of(node) == 3
        for key, value in values.items():
            eventually(lambda: node.get(1, key).text() == value + "\n", f"{key} at {node.id}")
