"""Faults under load: what was acknowledged stays, and what clients saw has an order."""

import signal

import pytest
from load import Load


def test_EachNodeKilledInTurn_UnderLoad_LosesNothing(new_cluster):
    cluster = new_cluster().start(3)
    with Load(cluster) as load:
        load.wait_progress()
        for node in cluster:
            node.kill()
            load.wait_progress()
            node.start().wait_ready()
            load.wait_progress()
    for node in cluster:
        load.check(node, cluster.folder)


def test_LeaderKilledAgainAndAgain_UnderLoad_LosesNothing(new_cluster):
    cluster = new_cluster().start(3)
    with Load(cluster) as load:
        for _ in range(3):
            load.wait_progress()
            leader = cluster.leader()
            leader.kill()
            load.wait_progress()
            leader.start().wait_ready()
    load.check(cluster[1], cluster.folder)


def test_AllNodesKilledAtOnce_UnderLoad_LosesNothing(new_cluster):
    cluster = new_cluster().start(3)
    with Load(cluster) as load:
        load.wait_progress(200)
        cluster.kill_all()
        for node in cluster:
            node.start()
        cluster.wait_ready()
        load.wait_progress()
    load.check(cluster[2], cluster.folder)


def test_LeaderFrozenAndThawed_UnderLoad_ServesNothingStale(new_cluster):
    # A leader that was paused still believes that it leads; its reads must not (trap 15).
    cluster = new_cluster(flags=["-election_ms", "500", "-heartbeat_ms", "50"]).start(3)
    with Load(cluster, clients=8) as load:
        for _ in range(2):
            load.wait_progress()
            leader = cluster.leader()
            leader.signal(signal.SIGSTOP)
            load.wait_progress(20)
            leader.signal(signal.SIGCONT)
            load.wait_progress(100)
    load.check(cluster[1], cluster.folder)


@pytest.mark.parametrize("flags", [["-engine=memory"], ["-read=lease"], ["-workers=1"]])
def test_NodesRestartedInTurn_UnderLoad_LosesNothing(new_cluster, flags):
    cluster = new_cluster(flags=flags).start(3)
    with Load(cluster) as load:
        for node in cluster:
            load.wait_progress()
            assert node.stop() == 0
            load.wait_progress()
            node.start().wait_ready()
    load.check(cluster[3], cluster.folder)


def test_SecondGroup_LeaderOfTheFirstKilled_GoesOn(new_cluster):
    cluster = new_cluster().start(3)
    request = {"GroupID": 2, "IDs": [1, 2, 3]}
    assert cluster[1].request("PUT", "/mgmt/groups", request).status == 200
    with Load(cluster, clients=3, group=2) as load:
        load.wait_progress()
        cluster.leader(1).kill()
        load.wait_progress(200)
    survivor = next(node for node in cluster if node.is_alive())
    load.check(survivor, cluster.folder)
