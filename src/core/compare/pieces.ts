/** A namespace's links, addresses, routes, policy rules, neighbours and FDB entries, as items to compare. */
import { actualAddresses, actualFdb, actualLinks, actualNeighbours, actualRoutes } from "../diff/actual.ts";
import { ADDRESSES, FDB, LINKS, NEIGHBOURS, ROUTES } from "../diff/piece-kinds.ts";
import { formatPrefix } from "../model/address.ts";
import type { Aspect, Namespace } from "../model/namespace.ts";
import type { RouteState } from "../networks/state.ts";
import { neighbourLine, routeLine, ruleLine, fdbLine } from "../show/lines.ts";
import type { Item } from "./items.ts";
import type { StandIns } from "./stand-ins.ts";
import type { ChangeKind } from "./types.ts";

const word = (value: unknown): string =>
  value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);

/** A record with the values as words. */
const words = (record: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, word(value)]));

function item(
  standIns: StandIns,
  ns: Namespace,
  what: string,
  shown: Record<string, string>,
  text: string,
  source: Item["source"],
  key = what,
): Item {
  if (!standIns.any(ns.place)) return { key, what, fields: shown, text, source };
  const fields = Object.fromEntries(
    Object.entries(shown).map(([name, value]) => [name, standIns.text(ns.place, value)] as const),
  );
  return { key: standIns.text(ns.place, key), what, fields, shown, text, source };
}

/** Devices. A bridge without an address of its own has a port's, which that port tells already. */
function links(ns: Namespace, standIns: StandIns): Item[] {
  const macs = new Map<string, number>();
  for (const { mac } of ns.links) if (mac !== null) macs.set(mac, (macs.get(mac) ?? 0) + 1);
  // Who is at the other end is that device's own business.
  const states = actualLinks(ns, () => undefined);
  return ns.links.map((link, i) => {
    const state = states[i]!.state;
    const { attributes = {}, name, mac, ...rest } = state;
    const ofPort = link.kind.kind === "bridge" && (macs.get(mac ?? "") ?? 0) > 1;
    const port = link.port;
    const shown = words({
      ...rest,
      ...attributes,
      ...(ofPort ? {} : { mac }),
      carrier: link.carrier,
      noarp: link.noarp,
      xdp: link.xdp,
      group: link.group,
      vlans: link.vlans
        .map(({ vid, pvid, untagged }) => `${vid}${pvid ? " pvid" : ""}${untagged ? " untagged" : ""}`)
        .toSorted()
        .join(", "),
      ...(port === null
        ? {}
        : {
            state: port.state,
            isolated: port.isolated,
            learning: attributes["learning"] ?? port.learning,
            flood: port.flood,
            neighSuppress: port.neighSuppress,
            locked: port.locked,
          }),
    });
    return item(standIns, ns, name, shown, LINKS.text(state), link.source);
  });
}

function addresses(ns: Namespace, standIns: StandIns): Item[] {
  const more = new Map(
    ns.links.flatMap((link) => link.addresses.map((each) => [`${link.name} ${link.addresses.indexOf(each)}`, each])),
  );
  const seen = new Map<string, number>();
  return actualAddresses(ns).map(({ state, source }) => {
    const n = seen.get(state.dev) ?? 0;
    seen.set(state.dev, n + 1);
    const full = more.get(`${state.dev} ${n}`);
    const shown = words({
      scope: state.scope,
      secondary: full?.secondary === true && full.ip.v === 4,
      deprecated: full?.deprecated,
      dadFailed: full?.dadFailed,
      noPrefixRoute: full?.noPrefixRoute,
    });
    return item(standIns, ns, ADDRESSES.text(state), shown, ADDRESSES.text(state), source);
  });
}

function routes(ns: Namespace, standIns: StandIns): Item[] {
  const all = [...ns.routes4, ...ns.routes6];
  return actualRoutes(ns).map(({ state, source }, i) => {
    const route = all[i]!;
    const ways = route.nexthops.map((hop, j) => {
      const flags = `${hop.dead ? " dead" : ""}${hop.linkdown ? " linkdown" : ""}`;
      return `${wayText(state.ways[j]!)}${flags}${hop.encap === null ? "" : ` encap ${hop.encap.type}`}`;
    });
    const shown = words({
      type: state.type,
      protocol: state.protocol,
      scope: state.scope,
      src: state.src,
      mtu: state.mtu,
      ways: ways.join("; "),
    });
    const from = route.from === null ? "" : ` from ${formatPrefix(route.from)}`;
    const what = `${state.dst}${state.table === 254 ? "" : ` table ${state.table}`}${state.metric === 0 ? "" : ` metric ${state.metric}`}`;
    // An IPv6 destination may have one route a device, each with the same metric.
    const device = state.ways.length === 1 ? (state.ways[0]!.dev ?? "") : "";
    const perDevice = state.family === 6 && state.dst.startsWith("f") ? ` ${device}` : "";
    return item(
      standIns,
      ns,
      what,
      shown,
      routeLine(route),
      source,
      `${ROUTES.key(state)}${from} ${route.tos}${perDevice}`,
    );
  });
}

const wayText = (way: RouteState["ways"][number]): string =>
  [
    way.via === null ? "" : `via ${way.via}`,
    way.dev === null ? "" : `dev ${way.dev}`,
    way.weight === 1 ? "" : `weight ${way.weight}`,
    way.onlink === true ? "onlink" : "",
  ]
    .filter((each) => each !== "")
    .join(" ");

/** Rules of one priority are asked in the order in which they are listed. */
function ruleLookups(ns: Namespace, standIns: StandIns): Item[] {
  return ([4, 6] as const).flatMap((family) =>
    (family === 4 ? ns.rules4 : ns.rules6).map((rule) => {
      const text = ruleLine(rule);
      return item(standIns, ns, `IPv${family} ${rule.priority}`, { rule: text }, text, rule.source);
    }),
  );
}

function neighbours(ns: Namespace, standIns: StandIns): Item[] {
  const proxies = ns.neighbours.length;
  const all = [...ns.neighbours, ...ns.proxyNeighbours];
  return actualNeighbours(ns).flatMap(({ state, source }, i) => {
    const learned = NEIGHBOURS.ofKernel(state);
    // Entries of the kernel's own for groups and broadcast.
    if (learned && state.state === "NOARP") return [];
    // What was never resolved says nothing.
    if (learned && typeof state.mac !== "string") return [];
    const shown = learned
      ? words({ mac: state.mac })
      : words({ mac: state.mac, state: state.state, proxy: state.proxy });
    const text = neighbourLine(all[i]!, i >= proxies);
    const made = item(
      standIns,
      ns,
      `${state.ip} dev ${state.dev}`,
      shown,
      text,
      source,
      `${NEIGHBOURS.key(state)} ${learned}`,
    );
    return [{ ...made, learned }];
  });
}

function fdb(ns: Namespace, standIns: StandIns): Item[] {
  return actualFdb(ns).flatMap(({ state, source }, i) => {
    // Groups that a device listens to.
    if ((Number.parseInt(state.mac.slice(0, 2), 16) & 1) === 1) return [];
    const entry = ns.fdb[i]!;
    const learned = FDB.ofKernel(state) && state.state !== "permanent";
    const shown = words({
      dst: state.dst,
      master: state.master,
      state: learned ? "" : state.state,
      port: entry.port,
      vni: entry.vni,
      via: entry.via,
      nhid: entry.nhid,
      ...(learned ? { dev: state.dev } : {}),
    });
    const bridge = learned ? state.master : `${state.dev} ${state.master ?? ""}`;
    const key = `${bridge} ${state.mac} ${state.vlan ?? ""} ${learned}`;
    return [{ ...item(standIns, ns, `${state.mac} dev ${state.dev}`, shown, fdbLine(entry), source, key), learned }];
  });
}

/** A kind of piece: the listings that it is read from, and its items. */
export interface PieceList {
  kind: ChangeKind;
  aspects: readonly Aspect[];
  items(ns: Namespace, standIns: StandIns): Item[];
}

export const PIECES: readonly PieceList[] = [
  { kind: "link", aspects: ["addr"], items: links },
  { kind: "address", aspects: ["addr"], items: addresses },
  { kind: "route", aspects: ["route4", "route6"], items: routes },
  { kind: "rule-lookup", aspects: ["rule4", "rule6"], items: ruleLookups },
  { kind: "neighbour", aspects: ["neigh"], items: neighbours },
  { kind: "fdb", aspects: ["fdb"], items: fdb },
];
