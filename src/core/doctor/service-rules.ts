/**
 * Where a node sends what is addressed to Services, read from the rules that kube-proxy writes (pkg/proxy/iptables, nftables, ipvs):
 * for every address and port the backends that any of its chains rewrites to.
 */
import { formatIp, type Ip, type Prefix } from "../model/address.ts";
import type { IpvsReal } from "../model/ipvs.ts";
import type { Namespace } from "../model/namespace.ts";
import type { NftJson, NftTable } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import type { XtChain, XtRule, XtRuleset, XtTarget } from "../model/xtables.ts";
import { AlikeTables } from "./alike-rules.ts";

/** A Service address as a node knows it. */
export interface Entry {
  /** Its rule, map or virtual server. */
  source: Source;
  /** Chains that rewrite to its backends; empty where packets are refused. */
  chains: readonly string[];
}

export interface ServiceRules {
  mode: "iptables" | "nftables" | "ipvs";
  /** By {@link entryKey}. */
  entries: Map<string, Entry>;
  /** Names every backend of an entry, `10.244.0.2:8080`, as often as rules lead to it, with the file and line of the rule that does. */
  eachBackend(entry: Entry, name: (backend: string, file: string, line: number) => void): void;
  /** An object for what `entry`'s chains lead to: nodes that have the same one lead equal chains to the same backends. Null: not known. */
  alike(entry: Entry): object | null;
  /** Chains by which the Services' rules are reached from the hooks; absent links are named here (`nat OUTPUT`). */
  unreached: { text: string; source: Source }[];
  /** Tables that lost KUBE-PROXY-CANARY although others have it. */
  canaries: { text: string; source: Source }[];
}

export const entryKey = (proto: string, address: string, port: number): string =>
  `${proto.toLowerCase()} ${address} ${port}`;

/** How nodePorts are found among the entries. */
export const NODE_PORT = "nodePort";

export const backendText = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

const PROTOS: Record<number, string> = { 6: "tcp", 17: "udp", 132: "sctp" };
const NO_CHAINS: readonly string[] = [];
const NO_RULES: readonly XtRule[] = [];

/** The deepest that kube-proxy's chains go is four; the kernel allows sixteen jumps (NFT_JUMP_STACK_SIZE). */
const DEEPEST = 16;

/** Backends of an entry, each with the rule that rewrites to it. */
export function backendsOf(rules: ServiceRules, entry: Entry): Map<string, Source> {
  const found = new Map<string, Source>();
  rules.eachBackend(entry, (backend, file, line) => found.set(backend, { file, line }));
  return found;
}

type Name = (backend: string, file: string, line: number) => void;

/** Equal targets of many rules and nodes are one object: each is written out once. */
const texts = new WeakMap<XtTarget, string>();

/** The one address and port that a target rewrites to; null for every other target. */
function dnatText(target: XtTarget): string | null {
  if (target.t !== "dnat" || target.range.min === null || target.range.ports === null) return null;
  let text = texts.get(target);
  if (text === undefined) texts.set(target, (text = backendText(formatIp(target.range.min), target.range.ports[0])));
  return text;
}

const whole = ({ ip, len }: Prefix): Ip | null => (len === (ip.v === 4 ? 32 : 128) ? ip : null);

/** The address and port that a rule of KUBE-SERVICES or KUBE-NODEPORTS is for; null when it is for none. */
function addressOf(rule: XtRule, nodePorts: boolean): string | null {
  const proto = rule.matches.find((match) => match.m === "proto");
  const port = rule.matches.find((match) => match.m === "dport");
  if (proto?.m !== "proto" || port?.m !== "dport" || port.range[0] !== port.range[1]) return null;
  const name = PROTOS[proto.proto];
  if (name === undefined) return null;
  if (nodePorts) return entryKey(name, NODE_PORT, port.range[0]);
  const dst = rule.matches.find((match) => match.m === "dst");
  const ip = dst?.m !== "dst" || dst.not ? null : whole(dst.prefix);
  return ip === null ? null : entryKey(name, formatIp(ip), port.range[0]);
}

/** Where the nodePort's rules stand in filter tables: with `--dst-type LOCAL` instead of an address. */
const isLocalType = (rule: XtRule): boolean =>
  rule.matches.some((match) => match.m === "addrtype" && match.dst?.includes("LOCAL") === true);

function fromIptables(set: XtRuleset, into: ServiceRules, tablesMet: AlikeTables): boolean {
  const tableOf = (name: string): readonly XtChain[] => set.tables.find((table) => table.name === name)?.chains ?? [];
  const chainOf = (table: readonly XtChain[], name: string): XtChain | undefined =>
    table.find((chain) => chain.name === name);
  const nat = tableOf("nat");
  const services = chainOf(nat, "KUBE-SERVICES");
  if (services === undefined) return false;
  // Seldom needed, and large.
  let byName: Map<string, XtChain> | null = null;
  const source = (rule: { line: number }): Source => ({ file: set.file, line: rule.line });
  const before = into.eachBackend;
  const walk = (chain: string, name: Name, depth: number): void => {
    if (depth > DEEPEST) return;
    byName ??= new Map(nat.map((each) => [each.name, each]));
    for (const rule of byName.get(chain)?.rules ?? NO_RULES) {
      const { target } = rule;
      if (target.t === "jump" || target.t === "goto") walk(target.chain, name, depth + 1);
      else {
        const backend = dnatText(target);
        if (backend !== null) name(backend, set.file, rule.line);
      }
    }
  };
  // Each backend and family has rules of its own, and chains that are named alike only if both are kube-proxy's.
  into.eachBackend = (entry, name) => {
    if (entry.source.file !== set.file) before(entry, name);
    else for (const chain of entry.chains) walk(chain, name, 0);
  };
  const alike = into.alike;
  let token: object | null = null;
  into.alike = (entry) =>
    entry.source.file === set.file
      ? (token ??= tablesMet.tokenOf(nat, ["KUBE-SERVICES", "KUBE-NODEPORTS"]))
      : alike(entry);
  const enter = (rule: XtRule, nodePorts: boolean): void => {
    const { target } = rule;
    const key = addressOf(rule, nodePorts);
    if (key === null) return;
    if (target.t === "jump" || target.t === "goto") {
      const known = into.entries.get(key);
      // One address may have several rules (source ranges): all of their backends count.
      const chains = known === undefined || known.source.file !== set.file ? NO_CHAINS : known.chains;
      into.entries.set(key, { source: source(rule), chains: [...chains, target.chain] });
    } else if ((target.t === "reject" || target.t === "drop") && !into.entries.has(key))
      into.entries.set(key, { source: source(rule), chains: NO_CHAINS });
  };
  for (const rule of services.rules) enter(rule, false);
  for (const rule of chainOf(nat, "KUBE-NODEPORTS")?.rules ?? []) enter(rule, true);
  for (const name of ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES"])
    for (const rule of chainOf(tableOf("filter"), name)?.rules ?? []) enter(rule, isLocalType(rule));
  for (const hook of ["PREROUTING", "OUTPUT"]) {
    const chain = chainOf(nat, hook);
    const jumps = chain?.rules.some(
      ({ target }) => (target.t === "jump" || target.t === "goto") && target.chain === "KUBE-SERVICES",
    );
    if (chain !== undefined && jumps !== true)
      into.unreached.push({ text: `nat ${hook} does not lead to KUBE-SERVICES`, source: source(chain) });
  }
  const canary = set.tables.filter(({ chains }) => chainOf(chains, "KUBE-PROXY-CANARY")).map(({ name }) => name);
  if (canary.length > 0)
    for (const table of set.tables)
      if (["mangle", "nat", "filter"].includes(table.name) && !canary.includes(table.name))
        into.canaries.push({ text: `KUBE-PROXY-CANARY is gone from table ${table.name}`, source: source(table) });
  return true;
}

const isRecord = (value: NftJson | undefined): value is { [key: string]: NftJson } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An element without the comment, counter or time-out that wraps it. */
function bare(element: NftJson | undefined): { [key: string]: NftJson } {
  if (!isRecord(element)) return {};
  const { elem } = element;
  return isRecord(elem) ? bare(elem["val"]) : element;
}

/** Chains that an nft statement or map value leads to. */
function leadsTo(value: NftJson): string[] {
  if (Array.isArray(value)) return value.flatMap(leadsTo);
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if ((key === "goto" || key === "jump") && isRecord(inner) && typeof inner["target"] === "string")
      return [inner["target"]];
    return leadsTo(inner);
  });
}

function dnatOf(statement: NftJson): string | null {
  const dnat = isRecord(statement) ? statement["dnat"] : undefined;
  if (!isRecord(dnat)) return null;
  const { addr, port } = dnat;
  return typeof addr === "string" && typeof port === "number" ? backendText(addr, port) : null;
}

function fromNft(table: NftTable, into: ServiceRules): void {
  const byName = new Map(table.chains.map((chain) => [chain.name, chain]));
  const before = into.eachBackend;
  const walk = (chain: string, name: Name, depth: number): void => {
    if (depth > DEEPEST) return;
    for (const { expr, source } of byName.get(chain)?.rules ?? [])
      for (const statement of expr) {
        for (const next of leadsTo(statement)) walk(next, name, depth + 1);
        const backend = dnatOf(statement);
        if (backend !== null) name(backend, source.file, source.line);
      }
  };
  const own = new Set<Entry>();
  into.eachBackend = (entry, name) => {
    if (!own.has(entry)) before(entry, name);
    else for (const chain of entry.chains) walk(chain, name, 0);
  };
  for (const set of table.sets) {
    const nodePorts = set.name === "service-nodeports" || set.name === "no-endpoint-nodeports";
    const refuses = set.name.startsWith("no-endpoint-");
    if (!nodePorts && !refuses && set.name !== "service-ips") continue;
    for (const element of set.elements) {
      if (!Array.isArray(element)) continue;
      const [left, value] = element;
      const key = bare(left)["concat"];
      if (!Array.isArray(key)) continue;
      const [address, proto, port] = nodePorts ? [NODE_PORT, ...key] : key;
      if (typeof address !== "string" || typeof proto !== "string" || typeof port !== "number") continue;
      const named = entryKey(proto, address, port);
      if (refuses && into.entries.has(named)) continue;
      const entry: Entry = { source: set.source, chains: refuses ? NO_CHAINS : leadsTo(value ?? null) };
      own.add(entry);
      into.entries.set(named, entry);
    }
  }
}

function fromIpvs(host: Namespace, into: ServiceRules): void {
  const reals = new Map<Entry, IpvsReal[]>();
  for (const service of host.ipvs) {
    const proto = service.proto === null ? undefined : PROTOS[service.proto];
    if (proto === undefined || service.ip === null) continue;
    const entry: Entry = { source: service.source, chains: NO_CHAINS };
    // Weight 0: it gets nothing new, what it has runs out (graceful termination).
    reals.set(
      entry,
      service.reals.filter(({ weight }) => weight > 0),
    );
    into.entries.set(entryKey(proto, formatIp(service.ip), service.port), entry);
  }
  into.eachBackend = (entry, name) => {
    for (const { ip, port, source } of reals.get(entry) ?? [])
      name(backendText(formatIp(ip), port), source.file, source.line);
  };
}

/** No rules of any kind. */
export const emptyRules = (): ServiceRules => ({
  mode: "iptables",
  entries: new Map(),
  eachBackend: () => undefined,
  alike: () => null,
  unreached: [],
  canaries: [],
});

/** The Services' rules of a node; null when there are none of kube-proxy's. `tablesMet`: those of other nodes of the cluster. */
export function serviceRules(host: Namespace, tablesMet: AlikeTables = new AlikeTables()): ServiceRules | null {
  const rules = emptyRules();
  const tables =
    host.nft?.tables.filter(
      (table) => table.name === "kube-proxy" && (table.family === "ip" || table.family === "ip6"),
    ) ?? [];
  if (tables.length > 0) {
    for (const table of tables) fromNft(table, rules);
    return { ...rules, mode: "nftables" };
  }
  // Other programs have virtual servers, too; kube-proxy's have their addresses on this device (pkg/proxy/ipvs/proxier.go).
  if (host.links.some((link) => link.name === "kube-ipvs0")) {
    fromIpvs(host, rules);
    return { ...rules, mode: "ipvs" };
  }
  let any = false;
  for (const set of host.xtables) any = fromIptables(set, rules, tablesMet) || any;
  return any ? rules : null;
}
