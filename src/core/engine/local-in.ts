/** Packets for this machine: INPUT, then the protocol that takes them (ip_local_deliver). */
import { formatIp } from "../model/address.ts";
import type { Socket } from "../model/socket.ts";
import type { Device } from "./device.ts";
import type { FrameFate } from "./fate.ts";
import { runHook } from "./hooks.ts";
import { ipTunnelReceive } from "./ip-tunnel.ts";
import type { Ns } from "./ns.ts";
import { ICMP, IPV6_ICMP, SCTP, TCP, UDP, type Packet } from "./packet.ts";
import { protoName } from "./conntrack.ts";
import type { Run } from "./run.ts";
import { doubtful, findSocket } from "./sockets.ts";
import { isVxlanPort, vxlanReceive } from "./vxlan.ts";

export function deliver(run: Run, ns: Ns, dev: Device, pkt: Packet): FrameFate {
  const fate = runHook(run, ns, "input", pkt, dev.vrf ?? dev, null);
  if (fate !== null) return fate;
  if (pkt.tproxied !== null) return toSocket(run, ns, pkt);
  if (isVxlanPort(ns, pkt) && (pkt.inner !== null || !pkt.answer)) return vxlanReceive(run, ns, pkt);
  if (pkt.proto === 4 || pkt.proto === 41 || pkt.proto === 47) return ipTunnelReceive(run, ns, pkt);
  switch (pkt.proto) {
    case ICMP:
      return echo(ns, pkt, ns.sysctl("net.ipv4.icmp_echo_ignore_all"), "net.ipv4.icmp_echo_ignore_all", 8);
    case IPV6_ICMP:
      return echo(ns, pkt, ns.sysctl("net.ipv6.icmp.echo_ignore_all"), "net.ipv6.icmp.echo_ignore_all", 128);
    case TCP:
    case UDP:
    case SCTP:
      if (pkt.answer)
        return {
          t: "delivered",
          ns,
          pkt,
          wildcard: false,
          because: { text: "reaches the program that asked", source: null },
        };
      return toSocket(run, ns, pkt);
    default:
      return {
        t: "no-listener",
        ns,
        pkt,
        because: { text: `nothing in ${ns.place} takes IP protocol ${pkt.proto}`, source: null },
      };
  }
}

/** icmp_echo and icmpv6_echo_reply. Answers and errors go to whoever asked. */
function echo(ns: Ns, pkt: Packet, ignore: number | null, key: string, request: number): FrameFate {
  if (pkt.icmpType === request && ignore !== null && ignore !== 0) {
    return {
      t: "lost",
      disposition: "dropped",
      ns,
      pkt,
      local: false,
      because: { text: `${key} = ${ignore}`, source: ns.sysctlSource(key) },
    };
  }
  return {
    t: "delivered",
    ns,
    pkt,
    wildcard: false,
    because: {
      text:
        pkt.icmpType === request
          ? `the kernel of ${ns.place} answers the echo request`
          : "reaches the program that asked",
      source: null,
    },
  };
}

export function socketText(s: Socket): string {
  const any = s.family === 4 ? "0.0.0.0" : s.v6only ? "[::]" : "*";
  const ip = s.ip === null ? any : s.ip.v === 6 ? `[${formatIp(s.ip)}]` : formatIp(s.ip);
  return `${s.proto} ${s.state} ${ip}${s.dev === null ? "" : `%${s.dev}`}:${s.port}`;
}

function toSocket(run: Run, ns: Ns, pkt: Packet): FrameFate {
  let probe = pkt;
  if (pkt.tproxied !== null) {
    probe = pkt.clone();
    probe.dst = pkt.tproxied.ip;
    probe.dport = pkt.tproxied.port;
  }
  const s = findSocket(ns, probe, pkt.cameBy!);
  if (s === "unknown")
    return {
      t: "inconclusive",
      because: {
        text: `the sockets of ${ns.place} are not known${ns.missing("sockets") === null && doubtful(ns) === null ? "" : `: ${ns.missing("sockets") ?? doubtful(ns)}`}`,
        source: null,
      },
    };
  if (s !== null) {
    if (run.recording) run.step(ns, pkt, "socket", socketText(s), s.source);
    return {
      t: "delivered",
      ns,
      pkt,
      wildcard: s.ip === null,
      because: { text: () => socketText(s), source: s.source },
      socket: s,
    };
  }
  const other = ns.model.sockets.find((o) => o.proto === protoName(pkt.proto) && o.port === pkt.dport);
  const near = other === undefined ? "" : `; ${socketText(other)} does not take it`;
  return {
    t: "no-listener",
    ns,
    pkt,
    because: {
      text: `nothing in ${ns.place} listens on ${protoName(pkt.proto)} ${formatIp(pkt.dst)} port ${pkt.dport}${near}`,
      source: other?.source ?? null,
    },
  };
}
