/** A namespace's state as flat records, to be laid beside what networks intend. */
import { formatIp, formatPrefix } from "../model/address.ts";
import type { IpSet } from "../model/ipset.ts";
import type { FdbEntry, Link, LinkKind, Neighbour } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import type { PolicyRule, Route } from "../model/route.ts";
import type { Source } from "../model/source.ts";
import type {
  AddressState,
  FdbState,
  LinkState,
  NeighbourState,
  RouteState,
  RuleLookupState,
  SetState,
} from "../networks/state.ts";
import { ruleLine } from "../show/lines.ts";

/** A piece of state and where the snapshot says so. */
export interface Actual<S> {
  state: S;
  source: Source;
}

function typeOf(kind: LinkKind): string {
  return kind.kind === "other" ? kind.name : kind.kind;
}

function attributes(link: Link): Record<string, string | number | boolean | null> {
  const kind = link.kind;
  switch (kind.kind) {
    case "vxlan":
      return {
        id: kind.id,
        local: kind.local === null ? null : formatIp(kind.local),
        remote: kind.remote === null ? null : formatIp(kind.remote),
        dev: kind.link,
        port: kind.port,
        learning: kind.learning,
        l2miss: kind.l2miss,
        l3miss: kind.l3miss,
        proxy: kind.proxy,
        external: kind.external,
      };
    case "ipip":
    case "gre":
    case "gretap":
    case "sit":
    case "ip6tnl":
    case "ip6gre":
      return {
        local: kind.local === null ? null : formatIp(kind.local),
        remote: kind.remote === null ? null : formatIp(kind.remote),
        dev: kind.link,
        external: kind.external,
      };
    case "macvlan":
    case "macvtap":
    case "ipvlan":
      return { mode: kind.mode, dev: link.lower };
    case "vlan":
      return { id: kind.id, dev: link.lower };
    case "vrf":
      return { table: kind.table };
    case "bridge":
      return { vlanFiltering: kind.vlanFiltering };
    default:
      return {};
  }
}

/** `peerOf` gives the other end of a veth pair as `PLACE NAME`, when it is known. */
export function actualLinks(ns: Namespace, peerOf: (link: Link) => string | undefined): Actual<LinkState>[] {
  return ns.links.map((link) => {
    const peer = peerOf(link);
    const state: LinkState = {
      name: link.name,
      type: typeOf(link.kind),
      mtu: link.mtu,
      up: link.up,
      master: link.master,
      attributes: attributes(link),
    };
    if (link.mac !== null) state.mac = link.mac;
    if (peer !== undefined) state.peer = peer;
    if (link.port !== null) state.hairpin = link.port.hairpin;
    return { state, source: link.source };
  });
}

export function actualAddresses(ns: Namespace): Actual<AddressState>[] {
  return ns.links.flatMap((link) =>
    link.addresses.map((each) => ({
      state: { dev: link.name, address: `${formatIp(each.ip)}/${each.prefixLen}`, scope: each.scope },
      source: link.source,
    })),
  );
}

function actualRoute(family: 4 | 6, route: Route): Actual<RouteState> {
  return {
    state: {
      family,
      table: route.table,
      dst: formatPrefix(route.dst),
      type: route.type,
      metric: route.metric,
      protocol: route.protocol,
      scope: route.scope,
      src: route.prefSrc === null ? null : formatIp(route.prefSrc),
      mtu: route.mtu,
      ways: route.nexthops.map((hop) => ({
        via: hop.gateway === null ? null : formatIp(hop.gateway),
        dev: hop.dev,
        weight: hop.weight,
        onlink: hop.onlink,
      })),
    },
    source: route.source,
  };
}

export function actualRoutes(ns: Namespace): Actual<RouteState>[] {
  return [...ns.routes4.map((route) => actualRoute(4, route)), ...ns.routes6.map((route) => actualRoute(6, route))];
}

function actualRuleLookup(family: 4 | 6, rule: PolicyRule): Actual<RuleLookupState> {
  // `PRIORITY: SELECTORS ACTION …`: what follows the action belongs to it.
  const [, selector = "", action = ""] = /^\d+: (.*?) ((?:lookup|goto|unreachable|prohibit|blackhole|nop).*)$/.exec(
    ruleLine(rule),
  ) ?? [undefined, ruleLine(rule), ""];
  return { state: { family, priority: rule.priority, selector, action }, source: rule.source };
}

export function actualRuleLookups(ns: Namespace): Actual<RuleLookupState>[] {
  return [...ns.rules4.map((rule) => actualRuleLookup(4, rule)), ...ns.rules6.map((rule) => actualRuleLookup(6, rule))];
}

export function actualNeighbours(ns: Namespace): Actual<NeighbourState>[] {
  const one = (neighbour: Neighbour, proxy: boolean): Actual<NeighbourState> => ({
    state: {
      dev: neighbour.dev ?? "",
      ip: formatIp(neighbour.ip),
      mac: neighbour.mac,
      state: neighbour.state,
      proxy,
    },
    source: neighbour.source,
  });
  return [...ns.neighbours.map((each) => one(each, false)), ...ns.proxyNeighbours.map((each) => one(each, true))];
}

export function actualFdb(ns: Namespace): Actual<FdbState>[] {
  return ns.fdb.map((entry: FdbEntry) => ({
    state: {
      dev: entry.dev,
      mac: entry.mac,
      dst: entry.dst === null ? null : formatIp(entry.dst),
      master: entry.master,
      state: entry.state,
      vlan: entry.vlan,
    },
    source: entry.source,
  }));
}

/** The element as `ipset save` prints it, without the time that is left. */
function elementText(line: string): string {
  return line.replace(/^add \S+ /, "").replace(/ timeout \d+/, "");
}

/** `lineOf` gives a line of the snapshot. */
export function actualIpsets(ns: Namespace, lineOf: (source: Source) => string): Actual<SetState>[] {
  return ns.ipsets.map((set: IpSet) => ({
    state: {
      backend: "ipset",
      name: set.name,
      type: set.type,
      family: set.family,
      elements: set.entries.map((entry) => elementText(lineOf({ file: set.source.file, line: entry.line }))),
    },
    source: set.source,
  }));
}
