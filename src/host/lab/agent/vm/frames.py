"""What goes through the channel into a virtual machine, and through the sockets of those who use it.

A frame is a head and a body. On the socket of one session the head is KIND (a byte) and the body's LENGTH (four bytes,
big-endian); in the channel, where all sessions are one stream, the session's number (four bytes) stands before.
What flows is bounded: who sends data may have sent WINDOW bytes more than the other side has said that it took (CREDIT).
"""
import os, struct

RUN, STDIN, STDIN_END, STDOUT, STDERR, EXIT, CREDIT, SIGNAL, RESIZE, CLOSE, HELLO = range(11)
LOCAL = struct.Struct(">BI")
OUTER = struct.Struct(">IBI")
WINDOW = 1 << 18
PIECE = 1 << 15


def outer(session, kind, body=b""):
    return OUTER.pack(session, kind, len(body)) + body


def local(kind, body=b""):
    return LOCAL.pack(kind, len(body)) + body


def take(buffer, head):
    """Whole frames at the beginning of a bytearray, which loses them: tuples of the head's fields but the length, and the body."""
    found, at = [], 0
    while len(buffer) - at >= head.size:
        *fields, length = head.unpack_from(buffer, at)
        end = at + head.size + length
        if len(buffer) < end:
            break
        found.append((*fields, bytes(buffer[at + head.size : end])))
        at = end
    del buffer[:at]
    return found


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
