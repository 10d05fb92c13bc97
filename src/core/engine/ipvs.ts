/** IPVS: virtual servers in INPUT and OUTPUT, and their answers on the way back (net/netfilter/ipvs). */
import { formatIp, sameIp, type Ip } from "../model/address.ts";
import type { IpvsReal, IpvsService } from "../model/ipvs.ts";
import type { Fate } from "./fate.ts";
import { UNWANTED } from "./fate.ts";
import { finish, ttlExceeded } from "./forward.ts";
import { runHook, type IpHook } from "./hooks.ts";
import { hopOf } from "./output.ts";
import type { Ns } from "./ns.ts";
import { Packet, RST, SYN, TCP } from "./packet.ts";
import type { Run } from "./run.ts";
import { hasPorts } from "./tuple.ts";

/** Priorities of ip_vs_ops4 and ip_vs_ops6: where in each hook answers and requests are looked at. */
export const IPVS_AT: Record<IpHook, { out: number | null; in: number | null }> = {
  prerouting: { out: null, in: null },
  input: { out: 98, in: 99 },
  forward: { out: 100, in: null },
  output: { out: -99, in: -98 },
  postrouting: { out: null, in: null },
};

/** A connection that IPVS has scheduled (struct ip_vs_conn). */
export interface IpvsConnection {
  proto: number;
  client: Ip;
  clientPort: number;
  virtual: Ip;
  virtualPort: number;
  real: Ip;
  realPort: number;
  method: IpvsReal["method"];
}

/** Whether IPVS can have virtual servers here that were not recorded: its settings are there, its table is not. Null when all is known. */
export function ipvsUnknown(ns: Ns): string | null {
  const why = ns.missing("ipvs");
  if (why === null) return null;
  const loaded = ns.sysctl("net.ipv4.vs.conntrack") !== null || ns.byName.has("kube-ipvs0");
  return loaded ? `the virtual servers of ${ns.place} are not known: ${why}` : null;
}

/** ip_vs_service_find: firewall mark first, then protocol, address and port, then port 0 (any). */
function serviceFor(ns: Ns, pkt: Packet): IpvsService | null {
  const { ipvs } = ns.model;
  if (pkt.mark !== 0) {
    const marked = ipvs.find((s) => s.fwmark !== null && s.fwmark === pkt.mark >>> 0);
    if (marked !== undefined) return marked;
  }
  const at = (port: number): IpvsService | undefined =>
    ipvs.find((s) => s.proto === pkt.proto && s.ip !== null && sameIp(s.ip, pkt.dst) && s.port === port);
  return at(pkt.dport) ?? at(0) ?? null;
}

/** Which real server a scheduler takes; each that can be taken is a branch. */
function schedule(run: Run, ns: Ns, service: IpvsService): IpvsReal | null {
  const able = service.reals.filter((r) => r.weight > 0);
  if (able.length <= 1) return able[0] ?? null;
  const key = `ipvs ${ns.place} ${service.source.line} ${service.source.file}`;
  if (service.scheduler === "rr") return able[run.oracle.choose(able.map(() => 1))]!;
  if (service.scheduler === "wrr") return able[run.oracle.choose(able.map((r) => r.weight))]!;
  // Least connections, source hashing and the like go by counters and hashes that were not recorded.
  for (const [i, real] of able.slice(0, -1).entries()) {
    const why = `scheduler ${service.scheduler} of ${formatIp(service.ip ?? real.ip)}:${service.port} goes by connections or hashes that are not recorded`;
    if (run.unknownOnce(`${key} ${i}`, why, service.source)) return real;
  }
  return able[able.length - 1]!;
}

/** ip_vs_in_hook: null lets the packet go on as it is; else what became of it. */
export function ipvsIn(run: Run, ns: Ns, hook: IpHook, pkt: Packet): Fate | null {
  if (pkt.ipvs || !hasPorts(pkt.proto)) return null;
  const known = run
    .ipvsConnections(ns)
    .find(
      (c) =>
        c.proto === pkt.proto &&
        sameIp(c.client, pkt.src) &&
        c.clientPort === pkt.sport &&
        sameIp(c.virtual, pkt.dst) &&
        c.virtualPort === pkt.dport,
    );
  if (known !== undefined) return send(run, ns, hook, pkt, known);
  const service = serviceFor(ns, pkt);
  if (service === null) return null;
  // tcp_conn_schedule: only a SYN makes a connection.
  if (pkt.proto === TCP && (pkt.tcpFlags & (SYN | RST)) !== SYN) return null;
  const because = (text: string) => ({ text, source: service.source });
  const real = schedule(run, ns, service);
  if (real === null) {
    // ip_vs_leave: port unreachable when there is nobody to send to.
    return {
      t: "error",
      disposition: "rejected",
      ns,
      pkt,
      local: hook === "output",
      icmp: pkt.v === 4 ? { type: 3, code: 3, mtu: null } : { type: 1, code: 4, mtu: null },
      because: because(`virtual server ${formatIp(pkt.dst)}:${pkt.dport} has no real server`),
    };
  }
  const conn: IpvsConnection = {
    proto: pkt.proto,
    client: pkt.src,
    clientPort: pkt.sport,
    virtual: pkt.dst,
    virtualPort: pkt.dport,
    real: real.ip,
    realPort: real.port === 0 ? pkt.dport : real.port,
    method: real.method,
  };
  run.ipvsConnections(ns).push(conn);
  run.step(
    ns,
    pkt,
    "rule",
    `IPVS ${formatIp(pkt.dst)}:${pkt.dport} ${service.scheduler}: real server ${formatIp(real.ip)}:${conn.realPort}`,
    real.source,
    {
      changed: { dst: formatIp(real.ip), dport: conn.realPort },
    },
  );
  return send(run, ns, hook, pkt, conn);
}

/** ip_vs_nat_xmit, ip_vs_dr_xmit. */
function send(run: Run, ns: Ns, hook: IpHook, pkt: Packet, conn: IpvsConnection): Fate | null {
  if (conn.method === "ipip")
    return {
      t: "inconclusive",
      because: { text: "IPVS tunnels to its real servers, which is not modelled", source: null },
    };
  pkt.ipvs = true;
  const to = conn.real;
  const flow = {
    dst: to,
    src: null,
    iif: null,
    oif: null,
    mark: pkt.mark,
    tos: pkt.tos,
    proto: pkt.proto,
    sport: 0,
    dport: 0,
    uid: 0,
  };
  const r = ns.fib(pkt.v).lookup(flow);
  if (r.unknown !== null)
    return { t: "inconclusive", because: { text: `routes of ${ns.place} are not known: ${r.unknown}`, source: null } };
  const hop = r.error === null ? hopOf(run, ns, r, flow) : null;
  if (hop === null) {
    return {
      t: "error",
      disposition: "no-route",
      ns,
      pkt,
      local: hook === "output",
      icmp: pkt.v === 4 ? { type: 3, code: 1, mtu: null } : { type: 1, code: 3, mtu: null },
      because: { text: `${ns.place} has no route to real server ${formatIp(to)}`, source: r.route?.source ?? null },
    };
  }
  const local = r.route!.type === "local";
  if (conn.method === "masq") {
    pkt.dst = to;
    pkt.dport = conn.realPort;
    // ip_vs_update_conntrack with net.ipv4.vs.conntrack, else ip_vs_notrack.
    if ((ns.sysctl("net.ipv4.vs.conntrack") ?? 0) !== 0) {
      if (pkt.ct !== null && !pkt.ct.confirmed) pkt.ct.reply = { ...pkt.ct.reply, src: to, sport: conn.realPort };
    } else {
      pkt.ct = null;
      pkt.ctInfo = "untracked";
    }
    if (local) return null; // goes on to be delivered here
  }
  if (hook === "input") {
    if (pkt.ttl <= 1) return ttlExceeded(ns, pkt, null);
    pkt.ttl--;
  }
  pkt.nextHop = hop.gateway ?? to;
  const fate = runHook(run, ns, "output", pkt, null, hop.dev);
  if (fate !== null) return fate;
  const out = finish(
    run,
    ns,
    null,
    pkt,
    conn.method === "gatewaying" && hop.gateway === null ? { ...hop, gateway: to } : hop,
  );
  return out === UNWANTED
    ? {
        t: "lost",
        disposition: "dropped",
        ns,
        pkt,
        local: false,
        because: { text: "nobody takes the frame", source: null },
      }
    : out;
}

/** ip_vs_out_hook: the answer of a real server gets the virtual server's address back. */
export function ipvsOut(run: Run, ns: Ns, pkt: Packet): void {
  if (pkt.ipvs || !hasPorts(pkt.proto)) return;
  const conn = run
    .ipvsConnections(ns)
    .find(
      (c) =>
        c.method === "masq" &&
        c.proto === pkt.proto &&
        sameIp(c.real, pkt.src) &&
        c.realPort === pkt.sport &&
        sameIp(c.client, pkt.dst) &&
        c.clientPort === pkt.dport,
    );
  if (conn === undefined) return;
  pkt.src = conn.virtual;
  pkt.sport = conn.virtualPort;
  pkt.ipvs = true;
  run.step(ns, pkt, "rule", `IPVS: answer of real server ${formatIp(conn.real)}:${conn.realPort}`, null, {
    changed: { src: formatIp(conn.virtual), sport: conn.virtualPort },
  });
}
