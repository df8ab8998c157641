"""multiraft-log on the directories of real nodes."""

import hashlib
import json
import subprocess

from harness import BIN


def tool(*arguments):
    return subprocess.run(
        [BIN / "multiraft-log", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def digests(folder):
    """Of all files that must not change; LOCK names whoever used the directory last."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


def stopped_node(new_cluster):
    node = new_cluster().add(1).start().wait_ready()
    for i in range(20):
        assert node.put(1, f"key-{i}", "value" * 50).status == 204
    answer = node.request("GET", "/v1/groups/1")
    assert answer.status == 200, answer
    busy = tool("inspect", f"-state_dir={node.state_dir}")
    assert busy.returncode == 3 and "another process" in busy.stderr, busy.stderr
    node.stop()
    return node, answer.json()


def test_Inspect_StoppedNode_AgreesWithHttpAndChangesNothing(new_cluster):
    node, said = stopped_node(new_cluster)
    before = digests(node.state_dir)
    found = tool("inspect", f"-state_dir={node.state_dir}", "-o", "json")
    assert found.returncode == 0, found.stdout + found.stderr
    report = json.loads(found.stdout)
    assert report["node"]["id"] == 1 and report["damages"] == []
    groups = {group["group"]: group for log in report["logs"] for group in log["groups"]}
    assert set(groups) == {0, 1}
    for field in ("term", "last_index"):
        assert groups[1][field] == said[field], field
    # A commit index alone is never written: the recorded one may be older.
    assert 0 < groups[1]["commit"] <= said["commit"]
    assert groups[1]["last_index"] > 20
    assert tool("verify", "--state-dir", node.state_dir).returncode == 0
    assert digests(node.state_dir) == before


def test_Verify_FlippedBit_NamesFileAndOffset(new_cluster):
    node, _ = stopped_node(new_cluster)
    segments = node.state_dir.glob("log/*/*.seg")
    segment = min(path for path in segments if path.read_bytes()[4096:4100] == b"MRB1")
    with segment.open("r+b") as file:
        file.seek(4096 + 64 + 4)
        byte = file.read(1)[0]
        file.seek(4096 + 64 + 4)
        file.write(bytes([byte ^ 1]))
    before = digests(node.state_dir)
    found = tool("verify", f"-state_dir={node.state_dir}")
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"{segment}: damage at offset 4096" in found.stdout
    assert digests(node.state_dir) == before


def test_Tool_BadInput_SaysWhatIsWrong(tmp_path):
    assert tool().returncode == 2
    assert tool("inspect").returncode == 2
    assert tool("erase", "-state_dir=/x").returncode == 2
    assert tool("inspect", "-state_dir=/x", "-size=1").returncode == 2
    missing = tool("verify", f"-state_dir={tmp_path / 'none'}")
    assert missing.returncode == 3 and "not the state directory" in missing.stderr
    empty = tool("verify", f"-state_dir={tmp_path}")
    assert empty.returncode == 3 and list(tmp_path.iterdir()) == []
    (tmp_path / "node").write_bytes(b"\x80 random bytes")
    garbage = tool("verify", f"-state_dir={tmp_path}", "-o=json")
    assert garbage.returncode == 1
    assert str(tmp_path / "node") in json.loads(garbage.stdout)["damages"][0]
