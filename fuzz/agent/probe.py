"""Servers that say what they saw, and probes that say what their program met.

A probe is a plain program: a TCP connect(), a request and an answer; a UDP send() and recv() on a connected
socket; or an ICMP echo on a ping or raw socket. Datagrams that a server could not answer say why in `unsent`. With a size, Don't Fragment is set, as `ping -M do -s` does. Its errors are those that such a program meets; ping asks for the error queue
(IP_RECVERR), as ping(8) does, and TCP: between namespaces of one machine an ICMP error comes back before
connect() has let go of the socket, and tcp_v4_err then only keeps it for the next retransmission, a second
later. The queue has it at once.
"""
import errno, os, re, select, socket, struct, time

SO_MARK, IP_RECVERR, IP_PKTINFO, IPV6_RECVERR, IPV6_RECVPKTINFO, IPV6_PKTINFO = 36, 11, 8, 25, 49, 50
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2
MSG_ERRQUEUE = 0x2000
ICMPV6_FILTER, ONLY_ECHO_REPLY = 1, struct.pack("=8I", *(0xFFFFFFFF & ~(1 << 129 % 32) if i == 129 // 32 else 0xFFFFFFFF for i in range(8)))
REQUEST = re.compile(rb"kwf(\d+) ")
LINGER_RST = struct.pack("ii", 1, 0)


def plain(address):
    """A v4-mapped address as the IPv4 address that it is; without a zone."""
    address = address.split("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address


class Server:
    """TCP: answers a request with what it saw. UDP: answers from the address that was asked (IP_PKTINFO) with what it saw."""

    def __init__(self, spec):
        self.name, self.tcp, self.port = spec["ns"], spec["proto"] == "tcp", spec["port"]
        family = socket.AF_INET6 if spec["family"] == 6 else socket.AF_INET
        self.sock = s = socket.socket(family, (socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM) | socket.SOCK_NONBLOCK)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if spec.get("v6only") else 0)
            if not self.tcp:
                s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        elif not self.tcp:
            s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        if spec.get("transparent"):
            level = socket.IPPROTO_IPV6 if family == socket.AF_INET6 else socket.IPPROTO_IP
            s.setsockopt(level, IPV6_TRANSPARENT if family == socket.AF_INET6 else IP_TRANSPARENT, 1)
        if spec.get("dev"):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, spec["dev"].encode() + b"\0")
        s.bind((spec.get("addr") or ("::" if family == socket.AF_INET6 else "0.0.0.0"), spec["port"]))
        if self.tcp:
            s.listen(1024)

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        self.sock.close()

    def say(self, local, port, peer):
        return f"{self.name} {plain(local)} {port} {plain(peer[0])} {peer[1]}"

    def ready(self, watch):
        """Takes everything that waits: accepted connections go to `watch`, datagrams are answered here."""
        while True:
            try:
                if self.tcp:
                    conn, peer = self.sock.accept()
                    local = conn.getsockname()
                    conn.setblocking(False)
                    watch.accept(conn, self.say(local[0], local[1], peer).encode())
                else:
                    self.answer(watch)
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno not in (errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED, errno.EPERM, errno.EACCES, errno.EINVAL, errno.EMSGSIZE, errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE):
                    raise

    def answer(self, watch):
        data, cmsgs, _, peer = self.sock.recvmsg(65536, 256)
        # Rules may bring anything here: another server's answer, a tunnel's packet. Only requests are answered, or two servers would talk for ever.
        m = REQUEST.match(data)
        if not m:
            return
        number = m[1].decode()
        local, info = "", []
        for level, kind, value in cmsgs:
            if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                local = socket.inet_ntop(socket.AF_INET, value[8:12])
                info = [(level, kind, struct.pack("=I", 0) + value[8:12] + b"\0" * 4)]
            elif (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
                local = socket.inet_ntop(socket.AF_INET6, value[:16])
                index = struct.unpack("=I", value[16:20])[0] if local.startswith("fe80:") else 0
                info = [(level, kind, value[:16] + struct.pack("=I", index))]
        seen = self.say(local, self.port, peer)
        watch.delivered[number] = seen
        try:
            self.sock.sendmsg([seen.encode()], info, 0, peer)
        except OSError as e:
            watch.refused[number] = errno.errorcode.get(e.errno, str(e.errno))


class Watch:
    """Probes under way."""

    def __init__(self, servers):
        self.servers, self.accepted, self.delivered, self.refused = servers, [], {}, {}
        self.poll = select.epoll()
        self.by_fd, self.open, self.results = {}, set(), {}
        self.over = False
        for s in servers:
            self.poll.register(s.fileno(), select.EPOLLIN)
            self.by_fd[s.fileno()] = ("server", s)

    def accept(self, conn, greeting):
        self.accepted.append(conn)
        if self.over:
            return
        self.by_fd[conn.fileno()] = ("conn", (conn, greeting))
        self.poll.register(conn.fileno(), select.EPOLLIN)

    def converse(self, conn, greeting, _events):
        """A request came in on an accepted connection."""
        try:
            if conn.recv(4096):
                conn.send(greeting)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.poll.unregister(conn.fileno())

    def settle(self, i, **result):
        if i in self.open or i not in self.results:
            self.results[i] = {**self.results.get(i, {}), **result}
        self.open.discard(i)

    def send(self, i, p):
        v6, proto = p["family"] == 6, p["proto"]
        family = socket.AF_INET6 if v6 else socket.AF_INET
        level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        if proto == "icmp" and v6:
            # ping_v6_sendmsg forgets what became of the packet; ping(8) on a raw socket is told.
            kind = socket.SOCK_RAW
        number = 0 if proto != "icmp" else (socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
        s = socket.socket(family, kind | socket.SOCK_NONBLOCK, number)
        self.results[i] = {}
        self.open.add(i)
        self.by_fd[s.fileno()] = ("probe", (i, p, s))
        step = "bind"
        try:
            if p.get("mark"):
                s.setsockopt(socket.SOL_SOCKET, SO_MARK, p["mark"])
            if p.get("ttl"):
                s.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, p["ttl"])
            if proto != "udp":
                s.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, 1)
            if p.get("size"):
                s.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER, PMTUDISC_DO)
            if kind == socket.SOCK_RAW:
                s.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, ONLY_ECHO_REPLY)
            else:
                s.bind(("::" if v6 else "0.0.0.0", p["sport"]))
            step = "connect"
            if proto == "icmp":
                # As ping(8): not connected, so that the route is looked up once, without a source.
                self.poll.register(s.fileno(), select.EPOLLIN)
                step = "send"
                data = struct.pack(">BBHHH", 128 if v6 else 8, 0, 0, p["sport"], 1)
                s.sendto(data.ljust(max(len(data), p.get("size", 64 + (40 if v6 else 20)) - (40 if v6 else 20)), b"."), (p["to"], 0))
            elif proto == "tcp":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
                code = s.connect_ex((p["to"], p["port"]))
                if code not in (0, errno.EINPROGRESS):
                    raise OSError(code, os.strerror(code))
                self.poll.register(s.fileno(), select.EPOLLIN | select.EPOLLOUT)
            else:
                s.connect((p["to"], p.get("port") or 0))
                self.poll.register(s.fileno(), select.EPOLLIN)
                step = "send"
                data = b"kwf%d " % i
                s.send(data.ljust(max(len(data), p.get("size", 0) - (40 if v6 else 20) - 8), b"."))
        except OSError as e:
            self.settle(i, errno=errno.errorcode.get(e.errno, str(e.errno)), at=step)

    def wait(self, quiet, limit):
        """Until all have settled, or nothing was heard for `quiet` seconds, or `limit` seconds in all."""
        start = heard = time.monotonic()
        while self.open:
            now = time.monotonic()
            rest = min(heard + quiet, start + limit) - now
            if rest <= 0:
                break
            for fd, events in self.poll.poll(rest, 256):
                heard = time.monotonic()
                what, it = self.by_fd[fd]
                if what == "server":
                    it.ready(self)
                elif what == "conn":
                    self.converse(*it, events)
                else:
                    self.event(*it, events)

    def event(self, i, p, s, events):
        if i not in self.open:
            try:
                self.poll.unregister(s.fileno())
            except OSError:
                pass
            return
        if p["proto"] != "udp" and "connected" not in self.results[i] and self.complaint(i, p, s):
            return
        if p["proto"] == "tcp":
            code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                name = errno.errorcode.get(code, str(code))
                if "connected" in self.results[i]:
                    return self.settle(i, after=name)
                return self.settle(i, errno=name, at="connect")
            if events & select.EPOLLOUT and "connected" not in self.results[i]:
                self.results[i]["connected"] = True
                try:
                    s.send(b"?")
                except OSError as e:
                    return self.settle(i, after=errno.errorcode.get(e.errno, str(e.errno)))
                self.poll.modify(s.fileno(), select.EPOLLIN)
            if events & select.EPOLLIN:
                try:
                    data = s.recv(4096)
                    self.settle(i, **({"answer": data.decode()} if data else {"after": "EOF"}))
                except BlockingIOError:
                    pass
                except OSError as e:
                    self.settle(i, after=errno.errorcode.get(e.errno, str(e.errno)))
            return
        try:
            data, sender = s.recvfrom(65536)
            if s.type == socket.SOCK_RAW and data[4:6] != struct.pack(">H", p["sport"]):
                return
            self.settle(i, answer=data.decode(errors="replace") if p["proto"] == "udp" else "", sender=plain(sender[0]))
        except BlockingIOError:
            pass
        except OSError as e:
            self.settle(i, errno=errno.errorcode.get(e.errno, str(e.errno)), at="recv")

    def complaint(self, i, p, s):
        """Takes an ICMP error off the error queue; true when there was one that ends the probe."""
        try:
            data, cmsgs, _, _ = s.recvmsg(65536, 512, MSG_ERRQUEUE)
        except OSError:
            return False
        if s.type == socket.SOCK_RAW and data[4:6] != struct.pack(">H", p["sport"]):
            return False
        for _, kind, value in cmsgs:
            if kind in (IP_RECVERR, IPV6_RECVERR):
                code, origin, t, c = struct.unpack_from("=IBBB", value)
                if code:
                    self.settle(i, errno=errno.errorcode.get(code, str(code)), at="error", icmp=[origin, t, c])
                    return True
        return False

    def finish(self):
        for conn in self.accepted:
            try:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
                conn.close()
            except OSError:
                pass
        for what, it in self.by_fd.values():
            if what == "probe":
                it[2].close()
        self.over = True
        self.poll.close()
        # What came too late is taken off the servers' queues, so that the next batch does not meet it.
        for s in self.servers:
            s.ready(self)
        for conn in self.accepted:
            conn.close()
        for i, seen in self.delivered.items():
            if i.isdigit() and int(i) in self.results:
                self.results[int(i)]["delivered"] = seen
        for i, why in self.refused.items():
            if i.isdigit() and int(i) in self.results:
                self.results[int(i)]["unsent"] = why
        return [self.results[i] for i in range(len(self.results))]
