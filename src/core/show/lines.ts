/** Entries of a namespace's tables as one line each, in the words of the command that prints them. */
import { socketText } from "../engine/local-in.ts";
import { routeText } from "../engine/next-hop.ts";
import { formatIp, formatPrefix, type Ip } from "../model/address.ts";
import type { CtEntry, CtTuple } from "../model/conntrack.ts";
import type { IpvsReal, IpvsService } from "../model/ipvs.ts";
import type { FdbEntry, Neighbour } from "../model/link.ts";
import type { PolicyRule, Route } from "../model/route.ts";
import type { Socket } from "../model/socket.ts";

const TABLES: Record<number, string> = { 253: "default", 254: "main", 255: "local" };
const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 58: "icmpv6", 132: "sctp" };

/** Words that are there, joined by blanks. */
const words = (...parts: readonly (string | null | false)[]): string =>
  parts.filter((p) => p !== null && p !== false && p !== "").join(" ");

const tableName = (table: number): string => TABLES[table] ?? String(table);
const protocolName = (proto: number): string => PROTOCOLS[proto] ?? String(proto);

/** `ip route show table all`. */
export function routeLine(r: Route): string {
  return words(
    routeText(r),
    r.from !== null && `from ${formatPrefix(r.from)}`,
    r.table !== 254 && `table ${tableName(r.table)}`,
    r.protocol !== "" && `proto ${r.protocol}`,
    r.metric !== 0 && `metric ${r.metric}`,
    r.mtu !== null && `mtu ${r.mtuLock ? "lock " : ""}${r.mtu}`,
    r.nexthops.some((n) => n.dead) && "dead",
    r.nexthops.some((n) => n.linkdown) && "linkdown",
  );
}

function rangeText(range: readonly [number, number]): string {
  return range[0] === range[1] ? String(range[0]) : `${range[0]}-${range[1]}`;
}

/** `ip rule`. */
export function ruleLine(r: PolicyRule): string {
  const mark =
    r.fwmark === null
      ? null
      : `fwmark 0x${r.fwmark.toString(16)}${r.fwmask >>> 0 === 0xffffffff ? "" : `/0x${(r.fwmask >>> 0).toString(16)}`}`;
  const action =
    r.action === "lookup"
      ? `lookup ${r.table === null ? "?" : tableName(r.table)}`
      : r.action === "goto"
        ? `goto ${r.goto}`
        : r.action;
  return words(
    `${r.priority}:`,
    r.not && "not",
    `from ${r.from === null ? "all" : formatPrefix(r.from)}`,
    r.to !== null && `to ${formatPrefix(r.to)}`,
    r.tos !== null && `tos 0x${r.tos.toString(16)}`,
    mark,
    r.iif !== null && `iif ${r.iif}`,
    r.oif !== null && `oif ${r.oif}`,
    r.uid !== null && `uidrange ${r.uid[0]}-${r.uid[1]}`,
    r.ipproto !== null && `ipproto ${protocolName(r.ipproto)}`,
    r.sport !== null && `sport ${rangeText(r.sport)}`,
    r.dport !== null && `dport ${rangeText(r.dport)}`,
    r.l3mdev ? "lookup [l3mdev-table]" : action,
    r.suppressPrefixLength !== null && `suppress_prefixlength ${r.suppressPrefixLength}`,
    r.suppressIfgroup !== null && `suppress_ifgroup ${r.suppressIfgroup}`,
    ...r.unknown.map((u) => `${u} (not modelled)`),
  );
}

/** `ip neigh`; a proxy entry says `proxy`. */
export function neighbourLine(n: Neighbour, proxy: boolean): string {
  return words(
    formatIp(n.ip),
    n.dev !== null && `dev ${n.dev}`,
    n.mac !== null && `lladdr ${n.mac}`,
    n.router && "router",
    proxy ? "proxy" : n.state,
  );
}

/** `bridge fdb`. */
export function fdbLine(e: FdbEntry): string {
  return words(
    `${e.mac} dev ${e.dev}`,
    e.dst !== null && `dst ${formatIp(e.dst)}`,
    e.port !== null && `port ${e.port}`,
    e.vni !== null && `vni ${e.vni}`,
    e.via !== null && `via ${e.via}`,
    e.vlan !== null && `vlan ${e.vlan}`,
    e.self && "self",
    e.master !== null && `master ${e.master}`,
    e.state === "" ? "learned" : e.state,
  );
}

function withPort(ip: Ip, port: number): string {
  return ip.v === 6 ? `[${formatIp(ip)}]:${port}` : `${formatIp(ip)}:${port}`;
}

function tupleText(proto: number, t: CtTuple): string {
  const icmp = proto === 1 || proto === 58;
  const ends = icmp
    ? `${formatIp(t.src)} → ${formatIp(t.dst)}`
    : `${withPort(t.src, t.sport)} → ${withPort(t.dst, t.dport)}`;
  return icmp ? `${ends} type ${t.icmpType} code ${t.icmpCode} id ${t.icmpId}` : ends;
}

/** A connection with both of its tuples. */
export function conntrackLine(e: CtEntry): string {
  return words(
    protocolName(e.proto),
    e.state,
    tupleText(e.proto, e.orig),
    `reply ${tupleText(e.proto, e.reply)}`,
    ...e.status.map((s) => `[${s}]`),
    e.mark !== 0 && `mark 0x${e.mark.toString(16)}`,
    e.zone !== 0 && `zone ${e.zone}`,
    e.timeout !== null && `${e.timeout} s`,
  );
}

/** `ss`. */
export function socketLine(s: Socket): string {
  return words(socketText(s), s.remote !== null && `connected to ${withPort(s.remote.ip, s.remote.port)}`);
}

/** `ipvsadm -S -n`: a service, or a real server of it. */
export function ipvsLine(service: IpvsService, real: IpvsReal | null): string {
  const name =
    service.fwmark !== null || service.ip === null
      ? `fwmark ${service.fwmark}`
      : `${service.proto === null ? "" : `${protocolName(service.proto)} `}${withPort(service.ip, service.port)}`;
  if (real !== null) return `${name} → ${withPort(real.ip, real.port)} ${real.method} weight ${real.weight}`;
  return words(
    name,
    service.scheduler,
    service.persistent !== null && `persistent ${service.persistent}`,
    ...service.flags,
  );
}
