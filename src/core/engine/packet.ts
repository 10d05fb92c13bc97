/** The packet that a walk carries: sk_buff reduced to what decides its way. Mutable; one path of a walk owns it. */
import type { Ip } from "../model/address.ts";
import type { Route } from "../model/route.ts";
import type { Connection } from "./connection.ts";
import type { Device } from "./device.ts";
import type { Hop } from "./next-hop.ts";

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const IPV6_ICMP = 58;
export const SCTP = 132;

/** TCP flag bits as on the wire (RFC 9293 §3.1). */
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;

/** How the frame was addressed at the link layer (skb->pkt_type). */
export type PacketType = "host" | "broadcast" | "multicast" | "otherhost";

/** skb->_nfct's low bits: where the packet stands in its connection (enum ip_conntrack_info). */
export type CtInfo = "none" | "new" | "established" | "related" | "untracked" | "invalid";

/** An element that a rule added to (or deleted from) an nft set while this packet passed. */
export interface SetChange {
  /** The set, by identity. */
  readonly set: object;
  readonly key: string;
  readonly present: boolean;
}

/** RFC 826. `targetMac` is null in a request. */
export interface ArpMessage {
  operation: "request" | "reply";
  senderMac: string | null;
  senderIp: Ip;
  targetMac: string | null;
  targetIp: Ip;
}

const NO_CHANGES: readonly SetChange[] = [];

export class Packet {
  /** IP version. */
  v: 4 | 6;
  src: Ip;
  dst: Ip;
  proto: number;
  /** Ports of TCP, UDP, SCTP; 0 otherwise. */
  sport = 0;
  dport = 0;
  icmpType = 0;
  icmpCode = 0;
  icmpId = 0;
  tcpFlags = 0;
  /** 0 until it is sent: the sender's own default. */
  ttl = 0;
  tos = 0;
  mark = 0;
  /** Bytes from the IP header on (skb->len at layer 3). */
  length = 60;
  /** False for what a program says of its own accord: `length` is then that of a small packet, for MTUs. */
  exactLength = true;
  /** The source port is one that a kernel drew at random (SNAT --random-fully, a tunnel's flow hash): the number only stands for it. */
  randomSport = false;
  /** So is the destination port, of an answer to such a packet. */
  randomDport = false;
  /** Don't Fragment; always true for IPv6. */
  df = true;
  /** Link-layer addresses of the frame that carries it now; null before it has one. */
  macSrc: string | null = null;
  macDst: string | null = null;
  vlan: number | null = null;
  type: PacketType = "host";
  /** The connection that conntrack gave it here; null before the hook, or when untracked or invalid. */
  ct: Connection | null = null;
  ctInfo: CtInfo = "none";
  /** It goes in the connection's reply direction. */
  ctReply = false;
  /** Zone that a CT target chose before conntrack saw the packet. */
  zone = 0;
  zoneDir: "both" | "orig" | "reply" = "both";
  /** A CT target or `ct zone set` has hung a template on it, which conntrack takes its zone from: the first one stays. */
  template = false;
  /** nf_conntrack_attach has given it a state but no connection, its cause being untracked: iptables' CT and NOTRACK leave it alone. */
  orphan = false;
  /** Inside: the packet that this one carries through a tunnel. */
  inner: Packet | null = null;
  /** Answers of a server and errors about a client's packet: no new request, so no listener is looked for. */
  answer = false;
  /** The route that forwards it (skb_dst of an input route); null while it is not being forwarded. */
  forwardedBy: { hop: Hop; route: Route } | null = null;
  /** IPVS has dealt with it (skb->ipvs_property). */
  ipvs = false;
  /** VXLAN network identifier of a carrier. */
  vni: number | null = null;
  /** ICMP errors: the packet that they complain of, as the router saw it. */
  about: Packet | null = null;
  /** It is an ARP message; its IP fields then mean nothing. */
  arp: ArpMessage | null = null;
  /** 0 for the packet asked about, 1 for what carries it through a tunnel, and so on. */
  layer = 0;
  /** Owner of the sending socket where the packet is locally made; null for forwarded ones. */
  uid: number | null = null;
  gid: number | null = null;
  /** Whose socket it has (skb->sk), from its sender or TPROXY: one of the kernel's own has no file, so nobody owns it. */
  socket: "program" | "kernel" | null = null;
  /** The socket that TPROXY chose for it, by address and port; null otherwise. */
  tproxied: { ip: Ip; port: number } | null = null;
  /** Device by which it came to the namespace that it is in, as sockets see it; null for what was made there. */
  cameBy: Device | null = null;
  /** Bridge port that br_netfilter has seen it come by, here (nf_bridge_info): it stays with what the bridge hands up to IP. */
  port: Device | null = null;
  /** Made by a program or the kernel in the namespace that it is in; false once it has crossed a wire. */
  locallyMade = true;
  /** Next hop of its route, while it is on its way out; null before. */
  nextHop: Ip | null = null;
  /** IPv4 fragment other than the first, which has no ports. */
  laterFragment = false;
  /** What nft rules changed in sets as it passed, oldest first; replaced, never changed in place. */
  setChanges: readonly SetChange[] = NO_CHANGES;
  /** Sets and recent lists that rules changed on its behalf, by tag: what was recorded of them no longer holds for it. */
  touched: readonly string[] | null = null;

  constructor(v: 4 | 6, src: Ip, dst: Ip, proto: number) {
    this.v = v;
    this.src = src;
    this.dst = dst;
    this.proto = proto;
  }

  /** nf_reset_ct: nothing of conntrack stays on it, no template either. */
  resetConnection(): void {
    this.ct = null;
    this.ctInfo = "none";
    this.ctReply = false;
    this.zone = 0;
    this.zoneDir = "both";
    this.template = false;
    this.orphan = false;
  }

  /** A copy that shares the connection, and what it carries or complains of: to try rules on, which change neither. */
  headers(): Packet {
    return Object.assign(new Packet(this.v, this.src, this.dst, this.proto), this);
  }

  /** A copy that shares nothing mutable but the connection. */
  clone(): Packet {
    const p = this.headers();
    if (this.inner !== null) p.inner = this.inner.clone();
    if (this.about !== null) p.about = this.about.clone();
    return p;
  }
}
