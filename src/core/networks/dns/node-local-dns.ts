/**
 * NodeLocal DNSCache: a dummy device with the addresses that it listens on, and iptables rules that keep its traffic out of conntrack
 * (kubernetes/dns cmd/node-cache/app/cache_app.go, pkg/netif/netif.go). In IPVS clusters it leaves the Service's address alone.
 */
import { parseIp } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import { flagOf, switchOf } from "../flags.ts";
import { IntentError, type Network } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import type { XtFamily } from "../state.ts";
import { listAt, textAt, textsAt } from "../raw-paths.ts";

const OWNER = "nodelocaldns";
const SKIP = "NodeLocal DNS Cache: skip conntrack";
const ALLOW = "NodeLocal DNS Cache: allow DNS traffic";

/** What node-cache was told (cmd/node-cache/main.go). */
export interface NodeCacheSettings {
  localIps: string[];
  device: string;
  port: string;
  healthPort: string;
  /** Null for releases before 1.26, which have no readiness port. */
  readyPort: string | null;
  setupInterface: boolean;
  setupIptables: boolean;
}

/** Settings from the program's arguments. Throws IntentError when an address is none or two families are mixed. */
export function nodeCacheSettings(words: readonly string[]): NodeCacheSettings {
  const localIps = (flagOf(words, "localip") ?? "").split(",").filter((ip) => ip !== "");
  for (const ip of localIps)
    if (parseIp(ip) === null) throw new IntentError(`node-cache: "${ip}" of -localip is no address`);
  if (new Set(localIps.map((ip) => ip.includes(":"))).size > 1)
    throw new IntentError("node-cache: -localip mixes IPv4 and IPv6");
  return {
    localIps,
    device: flagOf(words, "interfacename") ?? "nodelocaldns",
    port: flagOf(words, "dnsport") ?? "53",
    healthPort: flagOf(words, "health-port") ?? "8080",
    readyPort: flagOf(words, "ready-port"),
    setupInterface: switchOf(words, "setupinterface") ?? true,
    setupIptables: switchOf(words, "setupiptables") ?? true,
  };
}

/** Its arguments on this machine: the recorded command line, else those of its pod there. Null when it does not run there. */
function argumentsOn(site: Site, machine: Machine): readonly string[] | null {
  const command = machine.command("node-cache");
  if (command !== null) return command.words;
  const pod = site.cluster.raw
    .get("pods")
    ?.find(
      (each) =>
        textAt(each, "spec", "nodeName") === machine.name &&
        listAt(each, "spec", "containers").some((container) => textAt(container, "name") === "node-cache"),
    );
  const container = listAt(pod, "spec", "containers").find((each) => textAt(each, "name") === "node-cache");
  return container === undefined ? null : [...textsAt(container, "command"), ...textsAt(container, "args")];
}

interface XtRule {
  table: string;
  chain: string;
  rule: string;
}

/** The rules for one address in the order in which they are put in (initIptables); each goes to the top of its chain. */
function rulesFor(ip: string, settings: NodeCacheSettings): XtRule[] {
  const host = `${ip}/${ip.includes(":") ? 128 : 32}`;
  const to = (proto: string, port: string): string => `-d ${host} -p ${proto} -m ${proto} --dport ${port}`;
  const from = (proto: string, port: string): string => `-s ${host} -p ${proto} -m ${proto} --sport ${port}`;
  const skip = (chain: string, match: string): XtRule => ({
    table: "raw",
    chain,
    rule: `${match} -m comment --comment "${SKIP}" -j NOTRACK`,
  });
  const allow = (chain: string, match: string): XtRule => ({
    table: "filter",
    chain,
    rule: `${match} -m comment --comment "${ALLOW}" -j ACCEPT`,
  });
  const { port } = settings;
  const probes = [settings.healthPort, ...(settings.readyPort === null ? [] : [settings.readyPort])];
  return [
    skip("PREROUTING", to("tcp", port)),
    skip("PREROUTING", to("udp", port)),
    allow("INPUT", to("tcp", port)),
    allow("INPUT", to("udp", port)),
    skip("OUTPUT", from("tcp", port)),
    skip("OUTPUT", from("udp", port)),
    allow("OUTPUT", from("tcp", port)),
    allow("OUTPUT", from("udp", port)),
    skip("OUTPUT", to("tcp", port)),
    skip("OUTPUT", to("udp", port)),
    ...probes.flatMap((probe) => [skip("OUTPUT", to("tcp", probe)), skip("OUTPUT", from("tcp", probe))]),
  ];
}

/** Claims of node-cache with these settings at `place`. */
export function nodeLocalClaims(settings: NodeCacheSettings, place: string, mac: string | null): Claim[] {
  const claims: Claim[] = [];
  const claimed = { owner: OWNER, at: place };
  if (settings.setupInterface) {
    // A dummy device that nobody brings up: local routes of its addresses are enough (netif.go, EnsureDummyDevice).
    const link = { name: settings.device, type: "dummy", mtu: 1500, up: false, master: null };
    claims.push({ ...claimed, kind: "link", state: mac === null ? link : { ...link, mac } });
    for (const ip of settings.localIps)
      claims.push({
        ...claimed,
        kind: "address",
        state: { dev: settings.device, address: `${ip}/${ip.includes(":") ? 128 : 32}`, scope: "global" },
      });
  }
  if (!settings.setupIptables) return claims;
  const family: XtFamily = settings.localIps[0]?.includes(":") ? "ip6" : "ip";
  // Each rule is put before those that are there, so the last one stands first.
  for (const { table, chain, rule } of settings.localIps.flatMap((ip) => rulesFor(ip, settings)).toReversed())
    claims.push({ ...claimed, kind: "rule", chain: { backend: "iptables", family, table, chain }, state: rule });
  return claims;
}

export const nodeLocalDns: Network = {
  name: OWNER,
  about: "NodeLocal DNSCache: a DNS cache on every node, reached without conntrack",
  intend(site, machine) {
    const words = argumentsOn(site, machine);
    if (words === null) return [];
    const settings = nodeCacheSettings(words);
    return settings.localIps.length === 0
      ? []
      : nodeLocalClaims(settings, machine.place, machine.macOf(settings.device));
  },
};
