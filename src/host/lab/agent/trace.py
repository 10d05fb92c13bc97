"""The kernel's own account of the rules that packets meet: nft's packet trace by netlink (NFNLGRP_NFTRACE)."""
import socket, struct

NETLINK_NETFILTER, SOL_NETLINK, ADD_MEMBERSHIP, NFNLGRP_NFTRACE = 12, 270, 1, 9
# include/uapi/linux/netfilter/nf_tables.h, enum nft_trace_attributes
TABLE, CHAIN, RULE_HANDLE, TYPE, VERDICT, ID, LL, NETWORK, TRANSPORT, IIF, IIFTYPE, OIF, OIFTYPE, MARK, NFPROTO, POLICY = range(1, 17)
FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
TYPES = {1: "policy", 2: "return", 3: "rule"}
CODES = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}


SOCKETS = []


def on(spaces, names):
    """Listens for the trace events of these namespaces from now on."""
    off()
    for name in names:
        spaces.enter(name)
        SOCKETS.append((name, listen()))


def off():
    """The events so far, by namespace; listens no more."""
    found = {name: drain(s) for name, s in SOCKETS}
    for _, s in SOCKETS:
        s.close()
    SOCKETS.clear()
    return found


def listen():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.bind((0, 0))
    s.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
    return s


def attributes(data):
    out, at = {}, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            break
        out[kind & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return out


def drain(s):
    """Events in the kernel's order: dicts; addresses and ports from the headers where the event carries them."""
    events = []
    while True:
        try:
            data = s.recv(1 << 20)
        except BlockingIOError:
            return events
        except OSError as e:
            events.append({"lost": str(e)})
            continue
        at = 0
        while at + 16 <= len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if size < 20:
                break
            events.append(event(data[at + 16 : at + size]))
            at += (size + 3) & ~3


def text(raw):
    return raw.split(b"\0")[0].decode()


def event(data):
    a = attributes(data[4:])
    e = {"family": FAMILIES.get(data[0], str(data[0])), "id": a[ID].hex(), "type": TYPES.get(struct.unpack(">I", a[TYPE])[0])}
    if TABLE in a: e["table"] = text(a[TABLE])
    if CHAIN in a: e["chain"] = text(a[CHAIN])
    if RULE_HANDLE in a: e["handle"] = struct.unpack(">Q", a[RULE_HANDLE])[0]
    if MARK in a: e["mark"] = struct.unpack(">I", a[MARK])[0]
    if VERDICT in a:
        v = attributes(a[VERDICT])
        code = struct.unpack(">i", v[1])[0] if 1 in v else 0
        e["verdict"] = CODES.get(code if code < 0 else code & 0xFF, str(code))
        if 2 in v: e["to"] = text(v[2])
    if POLICY in a: e["policy"] = CODES.get(struct.unpack(">I", a[POLICY])[0])
    if NETWORK in a: e["net"] = a[NETWORK].hex()
    if TRANSPORT in a: e["transport"] = a[TRANSPORT].hex()
    for key, attr in (("iif", IIF), ("oif", OIF)):
        if attr in a: e[key] = struct.unpack(">I", a[attr])[0]
    return e
