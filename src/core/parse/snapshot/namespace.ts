/** One network namespace from its folder in the snapshot. */
import type { CtEntry } from "../../model/conntrack.ts";
import type { Link } from "../../model/link.ts";
import type { Aspect, Namespace, NamespaceId } from "../../model/namespace.ts";
import type { NftRuleset } from "../../model/nftables.ts";
import type { Sysctls } from "../../model/sysctl.ts";
import { parseBridgeFdb } from "../bridge-fdb.ts";
import { parseBridgeLink } from "../bridge-link.ts";
import { parseBridgeVlan } from "../bridge-vlan.ts";
import { parseConntrack } from "../conntrack.ts";
import { parseIpAddr } from "../ip-addr.ts";
import { parseIpRoute } from "../ip-route.ts";
import { parseIpRule } from "../ip-rule.ts";
import { parseIpset } from "../ipset.ts";
import { parseIpvs } from "../ipvs.ts";
import { parseNeigh, parseProxyNeigh } from "../neigh.ts";
import { parseNetnsIds } from "../netns-id.ts";
import { parseNexthop } from "../nexthop.ts";
import { parseNftJson } from "../nft-json.ts";
import { parseSockets } from "../ss.ts";
import { parseSysctl } from "../sysctl.ts";
import { parseTcQdisc } from "../tc.ts";
import { parseXtRecent } from "../xt-recent.ts";
import { AspectReader, type NodeContext } from "./aspect-reader.ts";
import { readIptables } from "./iptables-rulesets.ts";
import { LAST_SYSCTL } from "./node-facts.ts";

function readLinks(reader: AspectReader): Link[] {
  const links = reader.read("addr", "addr.json", "json", [], parseIpAddr);
  const ports = reader.read("bridge-link", "bridge-link.json", "json", new Map(), parseBridgeLink);
  const vlans = reader.read("vlan", "vlan.json", "json", new Map(), parseBridgeVlan);
  for (const link of links) {
    link.port = ports.get(link.name) ?? link.port;
    link.vlans = vlans.get(link.name) ?? link.vlans;
  }
  return links;
}

/** Whether every `{` that begins a table or chain is closed; sets within a line and quoted comments are passed over. */
function isWhole(nftText: string): boolean {
  let depth = 0;
  for (const line of nftText.replaceAll(/"[^"\n]*"/g, "").split("\n")) {
    for (const c of line) depth += c === "{" ? 1 : c === "}" ? -1 : 0;
    if (depth < 0) return false;
  }
  return depth === 0 && nftText.endsWith("\n");
}

function readNft(reader: AspectReader): NftRuleset | null {
  const file = reader.path("nft.txt");
  const text = reader.plain("nft.txt");
  // Only lines are taken from nft.txt; when it is cut off, those of nft.json stand in for them.
  const lines = text !== undefined && isWhole(text) ? { text, file } : null;
  return reader.read<NftRuleset | null>("nft", "nft.json", "json", null, (json, path) =>
    parseNftJson(json, path, lines),
  );
}

function readConntrack(reader: AspectReader, aspect: Aspect, name: string): CtEntry[] {
  const entries = reader.read(aspect, name, "text", [], parseConntrack);
  const shown = /(\d+) flow entries have been shown/.exec(reader.record(name)?.stderr ?? "");
  if (shown !== null && Number(shown[1]) !== entries.length && !reader.missing.has(aspect))
    reader.missing.set(
      aspect,
      `${name} has ${entries.length} entries, but conntrack said that it had shown ${shown[1]}`,
    );
  return entries;
}

/** The settings of the namespace in `reader`; an incomplete file is missing, though what it has is there. */
export function readSysctls(reader: AspectReader): Sysctls {
  const file = reader.path("sysctl.txt");
  const none: Sysctls = { file, values: new Map() };
  // `sysctl -a` always prints something, as commands with JSON do.
  const { memory } = reader.context;
  const sysctls = reader.read("sysctl", "sysctl.txt", "json", none, (text, path) =>
    parseSysctl(text, path, memory.sysctls),
  );
  if (!sysctls.values.has(LAST_SYSCTL) && !reader.missing.has("sysctl"))
    reader.missing.set("sysctl", `${file} is not whole: it lacks ${LAST_SYSCTL}, which every kernel has`);
  return sysctls;
}

/**
 * Reads the namespace in the folder `dir` (`nodes/n1/host`). What could not be had is in `missing`; malformed files are
 * also added to the context's problems. Throws nothing for what a file says.
 */
export function readNamespace(context: NodeContext, dir: string, id: NamespaceId): Namespace {
  const reader = new AspectReader(context, dir);
  const nexthops = reader.read("nexthop", "nexthop.json", "json", new Map(), parseNexthop);
  const nft = readNft(reader);
  const recent = reader.plain("xt_recent.txt");
  const namespace: Namespace = {
    ...id,
    dir,
    links: readLinks(reader),
    routes4: reader.read("route4", "route4.json", "json", [], (text, file) => parseIpRoute(text, file, 4, nexthops)),
    routes6: reader.read("route6", "route6.json", "json", [], (text, file) => parseIpRoute(text, file, 6, nexthops)),
    rules4: reader.read("rule4", "rule4.json", "json", [], (text, file) => parseIpRule(text, file, 4)),
    rules6: reader.read("rule6", "rule6.json", "json", [], (text, file) => parseIpRule(text, file, 6)),
    neighbours: reader.read("neigh", "neigh.json", "json", [], parseNeigh),
    proxyNeighbours: reader.read("neigh-proxy", "neigh-proxy.json", "json", [], parseProxyNeigh),
    fdb: reader.read("fdb", "fdb.json", "json", [], parseBridgeFdb),
    nsids: reader.read("nsid", "nsid.json", "json", [], parseNetnsIds),
    xtables: readIptables(reader, nft),
    nft,
    ipsets: reader.read("ipset", "ipset.txt", "text", [], parseIpset),
    ipvs: reader.read("ipvs", "ipvs.txt", "text", [], parseIpvs),
    conntrack: [
      ...readConntrack(reader, "conntrack", "conntrack.txt"),
      ...readConntrack(reader, "conntrack6", "conntrack6.txt"),
    ],
    sockets: reader.read("sockets", "sockets.txt", "text", [], parseSockets),
    sysctls: readSysctls(reader),
    tc: reader.read("tc", "tc.json", "json", [], parseTcQdisc),
    // The recorder lists no command for it: absent is no list.
    recent:
      recent === undefined
        ? []
        : (reader.guard("recent", () => parseXtRecent(recent, reader.path("xt_recent.txt"))) ?? []),
    missing: reader.missing,
  };
  return namespace;
}
