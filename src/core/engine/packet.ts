/** The packet that a walk carries: sk_buff reduced to what decides its way. Mutable; one path of a walk owns it. */
import type { Ip } from "../model/address.ts";
import type { Connection } from "./connection.ts";

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
  ttl = 64;
  tos = 0;
  mark = 0;
  /** Bytes from the IP header on (skb->len at layer 3). */
  length = 60;
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
  /** Inside: the packet that this one carries through a tunnel. */
  inner: Packet | null = null;
  /** ICMP errors: the packet that they complain of, as the router saw it. */
  about: Packet | null = null;
  /** 0 for the packet asked about, 1 for what carries it through a tunnel, and so on. */
  layer = 0;
  /** Owner of the sending socket where the packet is locally made; null for forwarded ones. */
  uid: number | null = null;
  gid: number | null = null;
  /** Socket that early demux, TPROXY or the sender gave it. */
  hasSocket = false;
  /** IPv4 fragment other than the first, which has no ports. */
  laterFragment = false;

  constructor(v: 4 | 6, src: Ip, dst: Ip, proto: number) {
    this.v = v;
    this.src = src;
    this.dst = dst;
    this.proto = proto;
  }

  /** A copy that shares nothing mutable but the connection. */
  clone(): Packet {
    const p = new Packet(this.v, this.src, this.dst, this.proto);
    return Object.assign(p, this);
  }
}
