/** Which socket a packet that was accepted reaches (inet_lookup_listener, udp4_lib_lookup and their IPv6 twins). */
import { sameIp } from "../model/address.ts";
import type { Socket } from "../model/socket.ts";
import type { Device } from "./device.ts";
import type { Ns } from "./ns.ts";
import { SCTP, TCP, UDP, type Packet } from "./packet.ts";

const V4_LOOPBACK_NET = 127;

/**
 * The socket for a packet as it stands at local delivery: the best match by bound address, device and, for connected UDP, peer.
 * Null when nothing listens; "unknown" when sockets were not recorded.
 */
export function findSocket(ns: Ns, pkt: Packet, dev: Device | null): Socket | null | "unknown" {
  if (ns.missing("sockets") !== null || doubtful(ns) !== null) return "unknown";
  const proto = pkt.proto === TCP ? "tcp" : pkt.proto === UDP ? "udp" : pkt.proto === SCTP ? "sctp" : "raw";
  let best: Socket | null = null;
  let bestScore = -1;
  for (const s of ns.socketsAt(pkt.dport)) {
    if (s.proto !== proto) continue;
    const score = scoreOf(s, pkt, dev);
    if (score > bestScore) {
      best = s;
      bestScore = score;
    }
  }
  // `ss` does not list SCTP without its module: then nothing is known of it.
  if (best === null && proto === "sctp") return "unknown";
  return best;
}

/** Why an empty list of sockets can't be all: something runs here that listens. Null when it can. */
export function doubtful(ns: Ns): string | null {
  return ns.socketsDoubt === undefined ? (ns.socketsDoubt = doubtOf(ns)) : ns.socketsDoubt;
}

function doubtOf(ns: Ns): string | null {
  if (ns.model.sockets.length > 0) return null;
  const { cluster } = ns.world.snapshot;
  const id = ns.model.pod;
  if (id === null) {
    const runs = ns.place === `${ns.node}/host` && cluster.nodes.some((n) => n.name === ns.node);
    return runs ? `none was recorded on ${ns.node}, where kubelet at least must listen` : null;
  }
  const pod = cluster.pods.find((p) => p.namespace === id.namespace && p.name === id.name);
  return pod !== undefined && pod.ready && pod.ports.length > 0
    ? "none was recorded, and the pod is ready and names ports"
    : null;
}

/** compute_score: -1 when it does not match. */
function scoreOf(s: Socket, pkt: Packet, dev: Device | null): number {
  let score = 0;
  if (s.family === 4) {
    if (pkt.v !== 4) return -1;
    score += 1; // an IPv4 socket is preferred to a dual-stack one
  } else if (pkt.v === 4 && (s.v6only || (s.ip !== null && s.ip.v === 6))) return -1;
  if (s.ip !== null) {
    if (!sameIp(s.ip, pkt.dst)) return -1;
    score += 4;
  }
  if (s.dev !== null) {
    if (dev === null || (s.dev !== dev.name && s.dev !== dev.masterName)) return -1;
    score += 4;
  }
  if (s.remote !== null) {
    if (!sameIp(s.remote.ip, pkt.src) || s.remote.port !== pkt.sport) return -1;
    score += 8;
  }
  return score;
}

/** Whether an address is of the loopback network. */
export function isLoopbackIp(ip: Packet["src"]): boolean {
  return ip.v === 4 ? ip.a >>> 24 === V4_LOOPBACK_NET : ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 1;
}
