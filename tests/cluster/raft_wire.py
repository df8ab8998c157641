"""Speaks to the port for other nodes as a node would (docs/formats/wire.md)."""

import socket
import struct

HELLO, HELLO_REPLY, BATCH, LIVES = 1, 2, 3, 5
MESSAGES, SNAPSHOT, CALL = 1, 2, 3
JOIN, PROPOSE, ADMIN = 1, 2, 3


def _table():
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        yield number


_TABLE = tuple(_table())


def crc32c(data, seed=0):
    value = seed ^ 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 255] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def frame(kind, payload):
    head = struct.pack("<IHBBI", 0x4657524D, 1, kind, 0, len(payload))
    head_sum = crc32c(head)
    return head + struct.pack("<II", head_sum, crc32c(payload, head_sum)) + payload


def hello(kind, cluster, node, to=0, worker=0, workers=1, state=(0, 0), life=0):
    fixed = struct.pack(
        "<BBHHHHHIQQQQQQQI",
        *(kind, 0, 0, worker, workers, 1, 1, 0, cluster, node, 12345, to, *state, life, 0),
    )
    return frame(HELLO, fixed + struct.pack("<I", 0))


def request(kind, group, payload):
    checksum = crc32c(payload, crc32c(struct.pack("<Q", group))) if kind == PROPOSE else 0
    head = struct.pack("<BBHIQQII", 2, kind, 0, len(payload), 1, group, checksum, 0)
    return frame(BATCH, head + payload)


def removed_notice(group, replica):
    return request(ADMIN, 0, struct.pack("<BBQQ", 1, 2, group, replica))


class RaftConnection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read_frame(self):
        kind, size = struct.unpack("<6xBxI8x", self.read(20))
        return kind, self.read(size)

    def greet(self, *args, **kwargs):
        """Says hello; the fields of the answer."""
        self.socket.sendall(hello(*args, **kwargs))
        kind, payload = self.read_frame()
        assert kind == HELLO_REPLY
        code, cluster, node, _, size = struct.unpack("<B3xQQQI", payload[:32])
        text = payload[32 : 32 + size].decode()
        return {"code": code, "cluster": cluster, "node": node, "text": text}

    def ask(self, data):
        """Sends a request; the status code of the response."""
        self.socket.sendall(data)
        kind, payload = self.read_frame()
        assert kind == BATCH
        return payload[1]
