"""Netlink: what connection tracking holds (ctnetlink), and emptying it."""
import socket, struct

from nl import attributes

NETLINK_NETFILTER = 12
CT_GET, CT_DELETE = (1 << 8) | 1, (1 << 8) | 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 1, 4, 0x300, 2, 3
# include/uapi/linux/netfilter/nfnetlink_conntrack.h
TUPLE_ORIG, TUPLE_REPLY, STATUS, MARK, ZONE = 1, 2, 3, 8, 18
TUPLE_IP, TUPLE_PROTO, TUPLE_ZONE = 1, 2, 3
NUM, SPORT, DPORT, ICMP_ID, ICMP_TYPE, ICMP_CODE, ICMPV6_ID, ICMPV6_TYPE, ICMPV6_CODE = 1, 2, 3, 4, 5, 6, 7, 8, 9


def flush():
    """ctnetlink_del_conntrack without a tuple: every entry of this namespace, both families."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as s:
        s.send(struct.pack("=IHHIIBBH", 20, CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, 1, 0, 0, 0, 0))
        s.recv(4096)


def entries():
    """Every entry of this namespace: [protocol, original tuple, reply tuple, status, mark]; a tuple is [source, destination, two ports or ICMP's id and type and code, zone]."""
    out = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as s:
        s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        s.send(struct.pack("=IHHIIBBH", 20, CT_GET, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0, 0, 0))
        while True:
            data = s.recv(1 << 18)
            at = 0
            while at + 16 <= len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                if kind in (NLMSG_DONE, NLMSG_ERROR) or size < 20:
                    return out
                out.append(entry(attributes(data[at + 20 : at + size])))
                at += (size + 3) & ~3


def entry(a):
    zone = struct.unpack(">H", a[ZONE])[0] if ZONE in a else 0
    proto, orig = tuple_of(a[TUPLE_ORIG], zone)
    _, reply = tuple_of(a[TUPLE_REPLY], zone)
    return [proto, orig, reply, struct.unpack(">I", a[STATUS])[0], struct.unpack(">I", a[MARK])[0] if MARK in a else 0]


def tuple_of(data, zone):
    a = attributes(data)
    ip, l4 = attributes(a[TUPLE_IP]), attributes(a[TUPLE_PROTO])
    family = socket.AF_INET if 1 in ip else socket.AF_INET6
    src, dst = (ip[1], ip[2]) if 1 in ip else (ip[3], ip[4])
    proto = l4[NUM][0]
    if SPORT in l4:
        ends = [struct.unpack(">H", l4[k])[0] for k in (SPORT, DPORT)]
    elif ICMP_ID in l4:
        ends = [struct.unpack(">H", l4[ICMP_ID])[0], l4[ICMP_TYPE][0] << 8 | l4[ICMP_CODE][0]]
    elif ICMPV6_ID in l4:
        ends = [struct.unpack(">H", l4[ICMPV6_ID])[0], l4[ICMPV6_TYPE][0] << 8 | l4[ICMPV6_CODE][0]]
    else:
        ends = [0, 0]
    if TUPLE_ZONE in a:
        zone = struct.unpack(">H", a[TUPLE_ZONE])[0]
    return proto, [socket.inet_ntop(family, src), socket.inet_ntop(family, dst), *ends, zone]
