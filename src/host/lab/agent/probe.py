"""Probes: what a plain program meets that asks a server by HTTP or UDP, or pings.

ping asks for the error queue (IP_RECVERR), as ping(8) does, and TCP: between namespaces of one machine an ICMP error comes
back before connect() has let go of the socket, and tcp_v4_err then only keeps it for the next retransmission, a second
later. The queue has it at once.
"""
import errno, os, select, socket, struct, time

from serve import QUESTION, plain

IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 11, 25, 0x2000
ICMPV6_FILTER = 1
ONLY_ECHO_REPLY = struct.pack("=8I", *(0xFFFFFFFF & ~(1 << 129 % 32) if i == 129 // 32 else 0xFFFFFFFF for i in range(8)))
LINGER_RST = struct.pack("ii", 1, 0)
SO_MARK = 36
# Descriptors are few: so many probes are under way at once.
AT_ONCE = 400


def name_of(number):
    return errno.errorcode.get(number, str(number))


class Probe:
    def __init__(self, spec, number):
        self.spec, self.v6, self.proto = spec, ":" in spec["to"], spec["proto"]
        self.level = socket.IPPROTO_IPV6 if self.v6 else socket.IPPROTO_IP
        self.number = number & 0xFFFF
        # Words by which a trace knows this probe's packets.
        self.token = spec.get("token", "").encode()
        self.result, self.connected, self.got = None, False, b""

    def begin(self):
        """Sends, in the namespace of the calling thread. The result may be there at once."""
        p, family = self.spec, socket.AF_INET6 if self.v6 else socket.AF_INET
        kind = socket.SOCK_STREAM if self.proto == "tcp" else socket.SOCK_RAW if self.proto == "icmp" and self.v6 else socket.SOCK_DGRAM
        number = 0 if self.proto != "icmp" else socket.IPPROTO_ICMPV6 if self.v6 else socket.IPPROTO_ICMP
        self.sock = s = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, number)
        step = "bind"
        try:
            if p.get("mark"):
                s.setsockopt(socket.SOL_SOCKET, SO_MARK, p["mark"])
            if self.proto != "udp":
                s.setsockopt(self.level, IPV6_RECVERR if self.v6 else IP_RECVERR, 1)
            if kind == socket.SOCK_RAW:
                s.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, ONLY_ECHO_REPLY)
            elif self.proto == "icmp":
                s.bind(("0.0.0.0", p.get("sport", 0)))
                self.number = s.getsockname()[1]
            elif p.get("sport"):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("::" if self.v6 else "0.0.0.0", p["sport"]))
            step = "connect"
            if self.proto == "icmp":
                step = "send"
                echo = struct.pack(">BBHHH", 128 if self.v6 else 8, 0, 0, self.number, 1) + self.token.ljust(56, b".")
                s.sendto(echo, (p["to"], 0))
            elif self.proto == "tcp":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
                code = s.connect_ex((p["to"], p["port"]))
                if code not in (0, errno.EINPROGRESS):
                    raise OSError(code, os.strerror(code))
                self.source = s.getsockname()[:2]
                return select.EPOLLIN | select.EPOLLOUT
            else:
                s.connect((p["to"], p["port"]))
                self.source = s.getsockname()[:2]
                step = "send"
                s.send(QUESTION + self.token)
        except OSError as e:
            self.settle(errno=name_of(e.errno), at=step)
        return select.EPOLLIN

    def settle(self, **result):
        source = getattr(self, "source", None)
        if source is not None:
            result["source"] = [plain(source[0]), source[1]]
        elif self.proto == "icmp":
            result["source"] = ["", self.number]
        self.result = result

    def complaint(self):
        """Takes an ICMP error off the error queue; true when there was one that ends the probe."""
        try:
            data, messages, _, _ = self.sock.recvmsg(65536, 512, MSG_ERRQUEUE)
        except OSError:
            return False
        if self.sock.type == socket.SOCK_RAW and data[4:6] != struct.pack(">H", self.number):
            return False
        for _, kind, value in messages:
            if kind in (IP_RECVERR, IPV6_RECVERR):
                code = struct.unpack_from("=I", value)[0]
                if code:
                    self.settle(errno=name_of(code), at="error")
                    return True
        return False

    def event(self, events, poll):
        if self.proto != "udp" and not self.connected and self.complaint():
            return
        if self.proto == "tcp":
            self.tcp(events, poll)
            return
        try:
            data, sender = self.sock.recvfrom(65536)
            if self.sock.type == socket.SOCK_RAW and data[4:6] != struct.pack(">H", self.number):
                return
            self.settle(answer=data.decode(errors="replace") if self.proto == "udp" else "", sender=plain(sender[0]))
        except BlockingIOError:
            pass
        except OSError as e:
            self.settle(errno=name_of(e.errno), at="recv")

    def tcp(self, events, poll):
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.settle(errno=name_of(code), at="recv" if self.connected else "connect")
            return
        if events & select.EPOLLOUT and not self.connected:
            self.connected = True
            where = f"[{self.spec['to']}]" if self.v6 else self.spec["to"]
            try:
                self.sock.send(f"GET / HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode())
            except OSError as e:
                self.settle(errno=name_of(e.errno), at="send")
                return
            poll.modify(self.sock.fileno(), select.EPOLLIN)
        if events & (select.EPOLLIN | select.EPOLLHUP):
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError as e:
                self.settle(errno=name_of(e.errno), at="recv")
                return
            self.got += data
            if not data:
                self.settle(answer=self.got.partition(b"\r\n\r\n")[2].decode(errors="replace"))


def run(spaces, specs, quiet, limit):
    """Sends all; answers in order. What has not settled when nothing was heard for `quiet` seconds, or after `limit` in all, timed out."""
    probes = [Probe(spec, i + 1) for i, spec in enumerate(specs)]
    waiting = list(reversed(probes))
    poll, by_fd = select.epoll(), {}
    start = heard = time.monotonic()
    while waiting or by_fd:
        while waiting and len(by_fd) < AT_ONCE:
            probe = waiting.pop()
            spaces.enter(probe.spec["ns"])
            events = probe.begin()
            heard = time.monotonic()
            if probe.result is None:
                by_fd[probe.sock.fileno()] = probe
                poll.register(probe.sock.fileno(), events)
            else:
                probe.sock.close()
        now = time.monotonic()
        rest = min(heard + quiet, start + limit) - now
        if rest <= 0:
            for probe in by_fd.values():
                probe.settle(timeout=True)
                probe.sock.close()
            by_fd.clear()
            if now >= start + limit:
                break
            heard = now
            continue
        for fd, events in poll.poll(rest, 256):
            probe = by_fd[fd]
            probe.event(events, poll)
            if probe.result is not None:
                heard = time.monotonic()
                poll.unregister(fd)
                probe.sock.close()
                del by_fd[fd]
    poll.close()
    return [probe.result or {"timeout": True} for probe in probes]
