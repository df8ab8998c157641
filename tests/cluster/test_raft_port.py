"""Whatever arrives on the port for other nodes: it is closed, and the node goes on."""

import random
import socket
import struct

import pytest


def send_and_wait_for_close(port, data):
    """Fails unless the server closes: it must not answer nonsense with silence for ever."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except TimeoutError as error:
            raise AssertionError("the connection stays open") from error
        except OSError:
            pass  # Closed while we were still sending.


GARBAGE = {
    "nothing": b"",
    "one byte": b"\x00",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "random": random.Random(1).randbytes(100_000),
    "huge length, 32 bits": struct.pack("<I", 0xFFFFFFFF) + bytes(64),
    "huge length, 64 bits": struct.pack("<Q", 0x7FFFFFFFFFFFFFFF) + bytes(64),
    "oversized": struct.pack("<I", 64 << 20) + bytes(1 << 20),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_RaftPort_Garbage_ClosesTheConnectionOnly(cluster, data):
    for node in cluster:
        send_and_wait_for_close(node.raft_port, data)
        assert node.is_alive(), node.tail()


def test_RaftPort_ManySilentConnections_DoNotStopReplication(cluster):
    idle = [socket.create_connection(("127.0.0.1", cluster[1].raft_port)) for _ in range(100)]
    try:
        assert cluster[2].put(1, "key", "value").status == 204
        assert cluster[1].get(1, "key").text() == "value\n"
    finally:
        for connection in idle:
            connection.close()


def test_RaftPort_RandomStreams_NeverEndANode(cluster):
    prng = random.Random(7)
    for _ in range(60):
        node = prng.choice(list(cluster))
        send_and_wait_for_close(node.raft_port, prng.randbytes(prng.randrange(1, 3000)))
    for node in cluster:
        assert node.is_alive(), node.tail()
        assert node.get(1, "key").status in (200, 404)
