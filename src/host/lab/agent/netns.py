"""Network namespaces by name. Descriptors hold them; names are links to these, in the lab's /run/netns and in the host's."""
import os, socket, struct, fcntl

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

# A new namespace begins with the first one's IPv4 settings (net.core.devconf_inherit_init_net): a lab begins with the kernel's own.
FRESH = (
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/all/arp_ignore", "0"),
    ("net/ipv4/conf/default/arp_ignore", "0"),
    ("net/ipv4/conf/all/arp_announce", "0"),
    ("net/ipv4/conf/default/arp_announce", "0"),
    ("net/ipv4/conf/all/route_localnet", "0"),
    ("net/ipv4/conf/default/route_localnet", "0"),
    ("net/ipv4/conf/all/proxy_arp", "0"),
    ("net/ipv4/conf/default/proxy_arp", "0"),
    ("net/ipv4/conf/all/accept_redirects", "0"),
    ("net/ipv4/conf/default/accept_redirects", "0"),
    ("net/ipv4/conf/all/send_redirects", "1"),
    ("net/ipv4/conf/default/send_redirects", "1"),
    # Nobody else has the lab's addresses: they are usable at once.
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    # ICMP errors are told each time, not now and then: what a probe meets is the same each time.
    ("net/ipv4/icmp_ratelimit", "0"),
    ("net/ipv4/icmp_msgs_per_sec", "1000000"),
    ("net/ipv4/icmp_msgs_burst", "100000"),
    ("net/ipv6/icmp/ratelimit", "0"),
    # As ping(8) of a container runtime's usual settings: everyone may send echoes without privileges.
    ("net/ipv4/ping_group_range", "0 2147483647"),
)


def put(path, value):
    """Writes a setting when it is not so already; writing some of them takes long."""
    with open(f"/proc/sys/{path}", "r+") as f:
        if f.read().split() != value.split():
            f.seek(0)
            f.write(value)


class Spaces:
    def __init__(self, libc, check, host_netns, outer_pid):
        self.libc, self.check, self.host, self.outer = libc, check, host_netns, outer_pid
        self.fds = {}
        self.linked = []

    def enter(self, name):
        """The calling thread is in that namespace from now on."""
        fd = self.fds.get(name)
        if fd is None:
            raise ValueError(f"the lab has no namespace {name}")
        self.check(self.libc.setns(fd, CLONE_NEWNET), "setns")

    def inodes(self):
        """Numbers of the namespaces, as /proc/PID/ns/net shows them."""
        return {name: os.fstat(fd).st_ino for name, fd in self.fds.items()}

    def create_hidden(self, name):
        self.check(self.libc.unshare(CLONE_NEWNET), "unshare")
        self.fds[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def create(self, name, forwards):
        # The name first, so that nothing is without one.
        self.create_hidden(name)
        fd = self.fds[name]
        os.symlink(f"/proc/{self.outer}/fd/{fd}", name, dir_fd=self.host)
        self.linked.append(name)
        os.symlink(f"/proc/1/fd/{fd}", f"/run/netns/{name}")
        for path, value in FRESH:
            try:
                put(path, value)
            except (FileNotFoundError, PermissionError):
                # A kernel without IPv6, or one where a setting is the first namespace's alone.
                pass
        if forwards:
            put("net/ipv4/ip_forward", "1")
            try:
                put("net/ipv6/conf/all/forwarding", "1")
            except FileNotFoundError:
                pass
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))

    def forget(self, name):
        os.close(self.fds.pop(name))

    def unlink_all(self):
        for name in self.linked:
            try:
                os.unlink(name, dir_fd=self.host)
            except FileNotFoundError:
                pass
