"""Damaged and cut logs: refused or cut as they must be, and healed from the other members."""

import json
import shutil
import subprocess

import pytest

from harness import BIN, eventually

TOOL = str(BIN / "multiraft-log")
FLAGS = ("-log_segment_mb=9", "-workers=1")


def segments(node):
    return sorted((node.state_dir / "log" / "0").glob("*.seg"))


def tool(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def inspect(node):
    status, out, err = tool("inspect", f"-state_dir={node.state_dir}", "-o", "json")
    assert status == 0, err
    return json.loads(out)


def written_segments(node):
    return [s for s in inspect(node)["logs"][0]["segments"] if s.get("batches", 0) > 0]


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


def fill(cluster, megabytes, prefix="key"):
    """Acknowledged keys, enough for several segments."""
    values = {}
    for i in range(megabytes * 4):
        key, value = f"{prefix}-{i}", f"{prefix}-{i}-" + "x" * (256 * 1024)
        assert cluster[i % 3 + 1].put(1, key, value).status == 204
        values[key] = value
    return values


def check_all(cluster, values):
    for node in cluster:
        for key, value in values.items():
            assert node.get(1, key).text() == value + "\n", f"{key} at node {node.id}"


@pytest.mark.parametrize("cuts", [(1, 511, 4096), (17, 512, 4095), (2, 1000, 2048)])
def test_NewestSegment_CutAtItsEnd_NodeRejoinsAndLosesNothing(new_cluster, cuts):
    cluster = new_cluster(flags=FLAGS).start(3)
    values = {}
    victim = cluster[3]
    for round_number, cut in enumerate(cuts):
        for i in range(30):
            key = f"key-{round_number}-{i}"
            assert cluster[i % 3 + 1].put(1, key, f"value-{cut}").status == 204
            values[key] = f"value-{cut}"
        victim.kill()
        # The newest file, which may be one that is only prepared, and the newest with data.
        newest = segments(victim)[-1]
        with_data = written_segments(victim)[-1]["file"]
        for path in {str(newest), with_data}:
            with open(path, "r+b") as file:
                file.seek(0, 2)
                file.truncate(file.tell() - cut)
        assert cluster[1].put(1, f"while-{round_number}", "down").status == 204
        values[f"while-{round_number}"] = "down"
        victim.start().wait_ready()
        check_all(cluster, values)


@pytest.mark.parametrize("cut", [1, 513, 3996, 4096])
def test_LastWrite_CutOff_NodeRejoinsAndLosesNothing(new_cluster, cut):
    """The end of what was written, not of the file: what a lost power leaves, or a disk that lied.

    Where others know that the write was durable, the node gives up its replicas by itself."""
    cluster = new_cluster(flags=FLAGS).start(3)
    values = {f"key-{i}": f"value-{i}" for i in range(30)}
    for key, value in values.items():
        assert cluster[2].put(1, key, value).status == 204
    victim = cluster[3]
    victim.kill()
    last = written_segments(victim)[-1]
    status, out, _ = tool("dump", f"-state_dir={victim.state_dir}", "-o", "json")
    assert status == 0
    # The last record's batch begins here and is at least one block long.
    offset = json.loads(out.splitlines()[-1])["offset"]
    with open(last["file"], "r+b") as file:
        file.seek(offset + 4096 - cut)
        file.write(b"\0" * cut)
    victim.start()
    ended_or_ready = eventually(
        lambda: not victim.is_alive() or victim.is_ready(), "starts, or refuses to"
    )
    assert ended_or_ready
    if not victim.is_alive():
        # An idle log had noted on disk already that this write was durable.
        assert victim.wait_exit() == 3 and "multiraft-log repair" in victim.tail()
        heal_by_repair(cluster, victim)
    elif cut == 3996:  # The header is there, the rest of the write is not.
        assert "cut a torn tail" in victim.tail(200) and ".seg" in victim.tail(200)
    values["after"] = "the cut"
    assert cluster[1].put(1, "after", "the cut").status == 204
    eventually(lambda: all_have(cluster, values), "every node has every key")
    cluster.wait_voters(1, [1, 2, 3])
    if "older state directory" in victim.log_path.read_text():
        eventually(lambda: "replicas given up" in victim.log_path.read_text(), "it starts again")
        eventually(lambda: all_have(cluster, values), "the new replica has every key")


def all_have(cluster, values):
    try:
        return all(
            node.get(1, key).text() == value + "\n"
            for node in cluster
            for key, value in values.items()
        )
    except OSError:  # Between giving up its replicas and serving again.
        return False


def heal_by_repair(cluster, victim):
    status, out, err = tool("repair", "--from-peers", f"-state_dir={victim.state_dir}")
    assert status == 0 and "nothing was changed" in out, err
    status, out, err = tool("repair", "--from-peers", "-yes", f"-state_dir={victim.state_dir}")
    assert status == 0 and "-join=" in out, err
    assert (victim.state_dir / "damaged-1" / "log").is_dir(), "put aside, not deleted"
    victim.join = cluster[1].raft_address
    victim.start().wait_ready()
    cluster.wait_voters(1, [1, 2, 3])


def test_OldSegment_WithAFlippedBit_IsRefusedAndHealsBothWays(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    values = fill(cluster, 24)
    victim = cluster[3]
    for heal in ("repair", "wipe"):
        victim.kill()
        old = written_segments(victim)[0]
        flip(old["file"], 4096 + 100)
        status, out, _ = tool("verify", f"-state_dir={victim.state_dir}", "-o", "json")
        assert status == 1
        damage = json.loads(out)["damage"]
        assert [d["file"] for d in damage] == [old["file"]] and damage[0]["offset"] == 4096
        before = open(old["file"], "rb").read()

        victim.start()
        assert victim.wait_exit() == 3
        said = victim.tail()
        assert old["file"] in said and "offset 4096" in said and "group" in said
        assert "multiraft-log repair" in said and "-join" in said
        assert open(old["file"], "rb").read() == before, "nothing was written over it"
        assert cluster[1].put(1, f"without-{heal}", "a node").status == 204
        values[f"without-{heal}"] = "a node"

        if heal == "repair":
            heal_by_repair(cluster, victim)
        else:
            shutil.rmtree(victim.state_dir)
            victim.join = cluster[1].raft_address
            victim.start(["-replace_lost_disk"]).wait_ready()
            cluster.wait_voters(1, [1, 2, 3])
        eventually(
            lambda: victim.get(1, "key-1").status == 200 and True, "the healed node serves"
        )
        # It counts: the group goes on without another member.
        cluster[2].kill()
        assert eventually(lambda: cluster[1].put(1, "quorum", heal).status == 204, "a quorum")
        values["quorum"] = heal
        cluster[2].start().wait_ready()
        check_all(cluster, values)


def test_NodeFile_WithAFlippedBit_IsRefused(new_cluster):
    cluster = new_cluster(flags=FLAGS).start(3)
    victim = cluster[2]
    victim.kill()
    flip(victim.state_dir / "node", 20)
    status, out, _ = tool("verify", f"-state_dir={victim.state_dir}")
    assert status == 1 and "checksum" in out
    victim.start()
    assert victim.wait_exit() == 3
    assert str(victim.state_dir / "node") in victim.tail()
    status, _, err = tool("repair", "-from_peers", f"-state_dir={victim.state_dir}")
    assert status == 3 and "-join" in err


def test_Tool_OnARunningNode_IsRefused(new_cluster):
    cluster = new_cluster(flags=FLAGS)
    node = cluster.add(1).start().wait_ready()
    assert node.put(1, "key", "value").status == 204
    for command in ("inspect", "verify", "dump"):
        status, _, err = tool(command, f"-state_dir={node.state_dir}")
        assert status == 3 and "-live" in err
    status, _, err = tool("repair", "-from_peers", "-yes", f"-state_dir={node.state_dir}")
    assert status == 3
    status, out, _ = tool("inspect", "-live", f"-state_dir={node.state_dir}", "-o=json")
    assert status == 0 and json.loads(out)["node"]["id"] == 1
    assert node.get(1, "key").text() == "value\n"


def test_Tool_ReadsTheStateAsWell_AndComparesItWithTheLog(new_cluster):
    cluster = new_cluster(flags=FLAGS)
    node = cluster.add(1).start().wait_ready()
    for i in range(20):
        assert node.put(1, f"key-{i}", "v" * 1000).status == 204
    assert node.stop() == 0
    status, out, _ = tool("verify", f"-state_dir={node.state_dir}", "-o=json")
    assert status == 0, out
    states = {s["group"]: s["applied"] for s in json.loads(out)["states"]}
    assert states[1] >= 20
    table = next((node.state_dir / "kv").glob("*.sst"))
    flip(table, 30)
    status, out, _ = tool("verify", f"-state_dir={node.state_dir}")
    assert status == 1 and table.name in out


def test_Tool_AgreesWithWhatTheNodeSays(new_cluster):
    cluster = new_cluster(flags=FLAGS)
    node = cluster.add(1).start().wait_ready()
    for i in range(5):
        assert node.put(1, f"key-{i}", f"value-{i}").status == 204
    assert node.delete(1, "key-3").status == 204
    told = node.request("GET", "/v1/groups/1").json()
    assert node.stop() == 0
    report = inspect(node)
    group = next(g for g in report["logs"][0]["groups"] if g["group"] == 1)
    assert report["node"] == report["node"] | {"id": 1, "phase": "member"}
    assert group["last_index"] == told["last_index"]
    assert group["hard_state"]["term"] == told["term"]
    status, out, _ = tool("dump", f"-state_dir={node.state_dir}", "-group=1", "-o", "json")
    assert status == 0
    commands = [
        entry["command"]
        for line in out.splitlines()
        for entry in json.loads(line).get("entries", [])
        if "command" in entry
    ]
    assert [c["put"] for c in commands if "put" in c] == [f"key-{i}" for i in range(5)]
    assert [c["delete"] for c in commands if "delete" in c] == ["key-3"]
    assert tool("verify", f"-state_dir={node.state_dir}")[0] == 0
    # One file of each kind by itself.
    assert tool("verify", node.state_dir / "node")[0] == 0
    assert tool("verify", segments(node)[0])[0] == 0


@pytest.mark.parametrize(
    "arguments, status",
    [
        ((), 2),
        (("inspect",), 2),
        (("nonsense", "/tmp"), 2),
        (("inspect", "/tmp", "/tmp"), 2),
        (("inspect", "/tmp", "-what"), 2),
        (("inspect", "/tmp", "-o", "xml"), 2),
        (("dump", "/nowhere", "-group=x"), 2),
        (("dump", "/nowhere", "-group"), 2),
        (("inspect", "/nowhere"), 3),
        (("verify", "/proc/self"), 3),
        (("verify", "/etc/hostname"), 3),
        (("repair", "-state_dir=/nowhere"), 2),
        (("repair", "-from-peers", "-state_dir=/nowhere"), 3),
        (("-help",), 0),
    ],
)
def test_Tool_BadInput_IsRefusedWithAReason(arguments, status):
    code, out, err = tool(*arguments)
    assert code == status, err
    assert (out if status == 0 else err).strip()
