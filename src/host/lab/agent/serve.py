"""Servers of pods and hosts: HTTP, and UDP; both tell their name and who asks."""
import errno, json, select, socket, struct

IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50
# What a peer, or a rule on the way, can do to a socket.
EXPECTED = {
    errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED, errno.EPERM, errno.EACCES,
    errno.EINVAL, errno.EMSGSIZE, errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.ENETDOWN,
}
QUESTION = b"who?"


def plain(address):
    """A v4-mapped address as the IPv4 address that it is; without a zone."""
    address = address.split("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address


class Server:
    def __init__(self, spec):
        self.at, self.tcp, self.port = spec["at"], spec["proto"] == "tcp", spec["port"]
        self.ns, self.address = spec["ns"], spec.get("address")
        v6 = socket.has_ipv6 and spec.get("family", 6) == 6 and ":" in (spec.get("address") or "::")
        kind = socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM
        self.sock = s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if v6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if not self.tcp:
            # Answers leave from the address that was asked. A socket of both families is told of IPv4 by its own option.
            s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            if v6:
                s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        s.bind((spec.get("address") or ("::" if v6 else "0.0.0.0"), self.port))
        if self.tcp:
            s.listen(1024)

    def words(self, local, peer):
        said = {"at": self.at, "client": plain(peer[0]), "clientPort": peer[1], "server": plain(local), "port": self.port}
        return json.dumps(said)


class Conversation:
    """One HTTP connection: a request and its answer."""

    def __init__(self, sock, body):
        self.sock, self.body, self.got = sock, body, b""

    def ready(self):
        """True when it is over."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if not data:
            return True
        self.got += data
        if b"\r\n\r\n" not in self.got:
            return len(self.got) > 65536
        body = (self.body + "\n").encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        try:
            self.sock.sendall(head.encode() + body)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return True


class Servers:
    def __init__(self, spaces):
        self.spaces, self.poll = spaces, select.epoll()
        self.by_fd = {}

    def open(self, specs):
        """Binds sockets in their namespaces. Answers those that could not be, with why."""
        refused = []
        there = {(s.ns, s.tcp, s.port, s.address) for s in self.by_fd.values() if isinstance(s, Server)}
        for spec in specs:
            if (spec["ns"], spec["proto"] == "tcp", spec["port"], spec.get("address")) in there:
                continue
            self.spaces.enter(spec["ns"])
            try:
                server = Server(spec)
            except OSError as e:
                refused.append([spec["at"], spec["proto"], spec["port"], e.strerror])
                continue
            self.by_fd[server.sock.fileno()] = server
            self.poll.register(server.sock.fileno(), select.EPOLLIN)
        return refused

    def release(self, ns, port):
        """Closes the sockets on a port of a namespace; answers how many."""
        gone = [(fd, s) for fd, s in list(self.by_fd.items()) if isinstance(s, Server) and s.ns == ns and s.port == port]
        for fd, server in gone:
            self.poll.unregister(fd)
            del self.by_fd[fd]
            server.sock.close()
        return len(gone)

    def ready(self, fd):
        it = self.by_fd.get(fd)
        if isinstance(it, Conversation):
            if it.ready():
                self.poll.unregister(fd)
                del self.by_fd[fd]
                it.sock.close()
        elif it is not None and it.tcp:
            self.accept(it)
        elif it is not None:
            self.answer(it)

    def accept(self, server):
        while True:
            try:
                sock, peer = server.sock.accept()
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno not in EXPECTED:
                    raise
                continue
            sock.setblocking(False)
            self.by_fd[sock.fileno()] = Conversation(sock, server.words(sock.getsockname()[0], peer))
            self.poll.register(sock.fileno(), select.EPOLLIN)

    def answer(self, server):
        while True:
            try:
                data, messages, _, peer = server.sock.recvmsg(65536, 256)
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno not in EXPECTED:
                    raise
                continue
            # Only questions are answered, or two servers that rules bring together would talk for ever.
            if data.startswith(b"{"):
                continue
            local, info = "", []
            for level, kind, value in messages:
                if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                    local = socket.inet_ntop(socket.AF_INET, value[8:12])
                    info = [(level, kind, struct.pack("=I", 0) + value[8:12] + b"\0" * 4)]
                elif (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
                    local = socket.inet_ntop(socket.AF_INET6, value[:16])
                    index = struct.unpack("=I", value[16:20])[0] if local.startswith("fe80:") else 0
                    info = [(level, kind, value[:16] + struct.pack("=I", index))]
            try:
                server.sock.sendmsg([(server.words(local, peer) + "\n").encode()], info, 0, peer)
            except OSError as e:
                if e.errno not in EXPECTED:
                    raise
