import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { recordingsIn } from "../../../../test/judge/recording.ts";
import { loadAndList, noRealNft } from "../../../../test/support/real-nft.ts";
import { makePod, makeService, makeSnapshot } from "../../../../test/support/snapshot.ts";
import { loadSnapshot } from "../../../host/snapshot/load.ts";
import type { Cluster, EndpointSlice, Service } from "../../model/cluster.ts";
import type { NftJson, NftTable } from "../../model/nftables.ts";
import { parseNftJson } from "../../parse/nft-json.ts";
import type { Claim } from "../claim.ts";
import { nftRulesetText, nftRuleText, type PrintedChain, type PrintedTable } from "../render/nft-text.ts";
import { siteOf } from "../site-of.ts";
import type { Machine, Site } from "../site.ts";
import { kubeProxyConfig } from "./config.ts";
import { prefixesValue } from "./nft-intervals.ts";
import { hashedName } from "./nft-names.ts";
import { intendNftables } from "./nftables.ts";

const FIXTURES = fileURLToPath(new URL("../../../../../shared/fixtures", import.meta.url));

type ChainClaim = Extract<Claim, { kind: "chain" }>;
type SetClaim = Extract<Claim, { kind: "set" }>;

const isChain = (claim: Claim): claim is ChainClaim => claim.kind === "chain" && claim.state.backend === "nft";
const isSet = (claim: Claim): claim is SetClaim => claim.kind === "set" && claim.state.backend === "nft";

/** The tables that claims make: what may be there or not is not. */
function tablesOf(claims: readonly Claim[]): PrintedTable[] {
  return (["ip", "ip6"] as const).map((family) => ({
    family,
    name: "kube-proxy",
    chains: claims.filter(isChain).flatMap((claim): PrintedChain[] => {
      const { state, rules, optional } = claim;
      if (state.backend !== "nft" || state.family !== family || optional === true) return [];
      const objects = (rules ?? []).map((rule) => (typeof rule === "string" ? { expr: [] } : rule));
      return [{ name: state.chain, base: state.base, rules: objects }];
    }),
    sets: claims
      .filter(isSet)
      .flatMap(({ state }) => (state.backend === "nft" && state.family === family ? [state] : [])),
  }));
}

const sorted = (values: readonly NftJson[]): string[] => values.map((value) => JSON.stringify(value)).toSorted();

/** What a table holds, in a form in which equal tables are equal; what packets put into sets is left out. */
function content({ family, chains, sets }: PrintedTable | NftTable): unknown {
  return {
    chains: Object.fromEntries(
      chains.map(({ name, base, rules }) => [
        name,
        [
          base === null ? "regular" : `${base.type} ${base.hook} ${base.priority} ${base.policy}`,
          // A set of one member, which only merging makes, is that member when it is loaded again.
          ...rules.map((rule) => nftRuleText(rule, family).replace(/\{ ([^,:{}]+) \}/, "$1")),
        ],
      ]),
    ),
    sets: Object.fromEntries(
      sets.map(({ name, isMap, keyTypes, valueType, elements, flags }) => {
        // nft's JSON of 1.0.6 does not say `dynamic`; such a set's elements come of packets.
        const timed = (flags ?? []).includes("timeout");
        return [name, { isMap, keyTypes, valueType, timed, elements: timed ? [] : sorted(elements) }];
      }),
    ),
  };
}

const recordings = recordingsIn(FIXTURES).filter((dir) => !basename(dir).includes("--"));

test("kube-proxy's tables of recordings are as intended", { timeout: 60_000 }, async (context) => {
  let compared = 0;
  for (const dir of recordings) {
    const snapshot = await loadSnapshot(join(dir, "snapshot"));
    const site = siteOf(snapshot);
    for (const machine of site.machines) {
      const config = kubeProxyConfig(site, machine);
      if (config?.mode !== "nftables") continue;
      const host = snapshot.namespaces.find((ns) => ns.place === machine.place);
      const actual = (host?.nft?.tables ?? []).filter((table) => table.name === "kube-proxy");
      const intended = tablesOf(intendNftables(site, machine, config));
      expect(actual.map(content), machine.place).toEqual(intended.map(content));
      compared++;
    }
  }
  if (compared === 0) {
    console.warn(`skipped: no recordings with kube-proxy in nftables mode in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
});

const source = { file: "cluster/test.json", line: 1 };

/** A slice of `ADDRESS@NODE` endpoints; `!` before one that is not ready. */
function slice(service: string, family: 4 | 6, port: [string, number, string?], endpoints: string[]): EndpointSlice {
  return {
    namespace: "shop",
    name: `${service}-${family}`,
    labels: {},
    annotations: {},
    source,
    service,
    addressType: `IPv${family}`,
    ports: [{ name: port[0], port: port[1], protocol: port[2] ?? "TCP" }],
    endpoints: endpoints.map((text) => {
      const ready = !text.startsWith("!");
      const [address = "", node = ""] = text.replace("!", "").split("@");
      return {
        addresses: [address],
        ready,
        serving: ready,
        terminating: false,
        node,
        hostname: null,
        pod: null,
      };
    }),
  };
}

const service = (name: string, ips: string[], ports: string[], more: Partial<Service> = {}): Service =>
  makeService("shop", name, ips, ports, { ipFamilies: ips.map((ip) => (ip.includes(":") ? "IPv6" : "IPv4")), ...more });

const nodePort = (port: number): Service["ports"] => [
  { name: "http", protocol: "TCP", port: 80, targetPort: 8080, nodePort: port },
];

/** Every kind of Service, in both families. */
function everyService(): Cluster {
  const cluster = makeSnapshot().cluster;
  cluster.pods = [makePod("shop", "web-1", "n1", ["10.244.0.2"])];
  cluster.services = [
    service("plain", ["10.96.0.5", "fd00:96::5"], ["http/80"]),
    service("sticky", ["10.96.0.6"], ["dns/53/UDP"], { sessionAffinity: "ClientIP", sessionAffinitySeconds: 600 }),
    service("empty", ["10.96.0.7"], ["http/80"], { type: "NodePort", ports: nodePort(30007) }),
    service("inside", ["10.96.0.8"], ["http/80"], { internalTrafficPolicy: "Local" }),
    service("lb", ["10.96.0.9", "fd00:96::9"], ["http/80"], {
      type: "LoadBalancer",
      ports: nodePort(30009),
      externalTrafficPolicy: "Local",
      externalIPs: ["198.51.100.9"],
      loadBalancerIPs: ["198.51.100.1", "2001:db8::1"],
      loadBalancerSourceRanges: ["172.30.0.0/25", "172.30.0.128/25", "203.0.113.7/32", "2001:db8:1::/48"],
    }),
  ];
  cluster.endpointSlices = [
    slice("plain", 4, ["http", 8080], ["10.244.1.2@n2", "10.244.0.2@n1", "!10.244.0.9@n1"]),
    slice("plain", 6, ["http", 8080], ["fd00:244::2@n1"]),
    slice("sticky", 4, ["dns", 53, "UDP"], ["10.244.0.4@n1", "10.244.1.4@n2"]),
    slice("inside", 4, ["http", 8080], ["10.244.1.5@n2"]),
    slice("lb", 4, ["http", 8080], ["10.244.1.6@n2", "10.244.0.6@n1"]),
    slice("lb", 6, ["http", 8080], ["fd00:244:1::6@n2"]),
  ];
  cluster.raw.set("servicecidrs.networking.k8s.io", [
    { spec: { cidrs: ["10.96.0.0/16", "fd00:96::/112"] } },
    { spec: { cidrs: ["10.97.0.0/17"] } },
  ]);
  return cluster;
}

/** Machine n1 with kube-proxy in nftables mode; `yaml` is added to its configuration. */
function siteWith(yaml: string, cluster = everyService()): { site: Site; machine: Machine } {
  const text = `mode: nftables\nclusterCIDR: 10.244.0.0/16,fd00:244::/56\n${yaml}`;
  const machine: Machine = {
    name: "n1",
    place: "n1/host",
    node: cluster.nodes.find((node) => node.name === "n1") ?? null,
    devices: [{ index: 2, name: "eth0", mac: null, mtu: 1500, addresses: ["172.30.0.11/24", "172.30.0.99/32"] }],
    sandboxes: [],
    macOf: () => null,
    command: () => null,
    file: (path) => (path === "kube-proxy.yaml" ? { text, source: { file: path, line: 1 } } : null),
    files: () => [],
  };
  return { site: { cluster, machines: [machine] }, machine };
}

function claimsWith(yaml: string): Claim[] {
  const { site, machine } = siteWith(yaml);
  const config = kubeProxyConfig(site, machine);
  if (config === null) throw new Error("kube-proxy does not run there");
  return intendNftables(site, machine, config);
}

/** Rules of the first chain whose name holds `part`, as nft prints them. */
function chainText(tables: readonly PrintedTable[], part: string, family: "ip" | "ip6" = "ip"): string[] {
  const chain = tables.find((table) => table.family === family)?.chains.find((each) => each.name.includes(part));
  return (chain?.rules ?? []).map((rule) => nftRuleText(rule, family));
}

test("traffic policy Local, a load balancer's sources, affinity, no endpoints", () => {
  const tables = tablesOf(claimsWith(""));
  const lb = (tables[0]?.chains ?? []).filter((chain) => /shop\/lb\/tcp\/http(__|$)/.test(chain.name));
  const chain = (prefix: string): string => lb.find((each) => each.name.startsWith(prefix))?.name ?? "?";
  expect(chainText(tables, chain("external-"))).toEqual([
    `ip saddr 10.244.0.0/16 goto ${chain("service-")} comment "short-circuit pod traffic"`,
    'fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"',
    `fib saddr type local goto ${chain("service-")} comment "short-circuit local traffic"`,
    `goto ${chain("local-")}`,
  ]);
  // The node is among the sources: so is the load balancer's address, by which it reaches itself.
  expect(chainText(tables, chain("firewall-"))).toEqual([
    "ip saddr != { 172.30.0.0/24, 198.51.100.1, 203.0.113.7 } drop",
  ]);
  const elements = (name: string, family = "ip"): string[] =>
    sorted(tables.find((table) => table.family === family)?.sets.find((set) => set.name === name)?.elements ?? []);
  expect(elements("no-endpoint-services")).toEqual([
    '[{"elem":{"val":{"concat":["10.96.0.7","tcp",80]},"comment":"shop/empty:http"}},{"goto":{"target":"reject-chain"}}]',
    '[{"elem":{"val":{"concat":["10.96.0.8","tcp",80]},"comment":"shop/inside:http"}},{"drop":null}]',
  ]);
  expect(elements("nodeport-ips")).toEqual(['"172.30.0.11"']);
  expect(elements("no-endpoint-nodeports", "ip6")).toEqual([
    '[{"elem":{"val":{"concat":["tcp",30009]},"comment":"shop/lb:http"}},{"drop":null}]',
  ]);
  const endpoint = hashedName("shop/sticky/udp/dns__10.244.0.4/53");
  expect(chainText(tables, `endpoint-${endpoint}`)).toEqual([
    "ip saddr 10.244.0.4 jump mark-for-masquerade",
    `update @affinity-${endpoint} { ip saddr }`,
    "meta l4proto udp dnat to 10.244.0.4:53",
  ]);
  expect(chainText(tables, "cluster-ips-check")[1]).toBe(
    'ip daddr { 10.96.0.0-10.97.127.255 } drop comment "Drop traffic to unallocated ClusterIPs"',
  );
});

test("node ports on every address, other ways to tell pods, masqueradeAll", () => {
  const all = tablesOf(claimsWith("nodePortAddresses: [0.0.0.0/0, '::/0']\nnftables: {masqueradeAll: true}\n"));
  expect(chainText(all, "services")[1]).toBe(
    "fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports",
  );
  expect(chainText(all, "nodeport-endpoints-check", "ip6")).toEqual([
    "ip6 daddr != ::1 meta l4proto . th dport vmap @no-endpoint-nodeports",
  ]);
  expect(all[0]?.sets.map((set) => set.name)).not.toContain("nodeport-ips");
  const plain = `service-${hashedName("shop/plain/tcp/http")}`;
  expect(chainText(all, plain)[0]).toBe("ip daddr 10.96.0.5 jump mark-for-masquerade");
  const bridge = tablesOf(claimsWith("detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n"));
  expect(chainText(bridge, plain)[0]).toBe('ip daddr 10.96.0.5 iifname != "cni0" jump mark-for-masquerade');
  const prefix = tablesOf(
    claimsWith("detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n"),
  );
  expect(chainText(prefix, plain)[0]).toBe('ip daddr 10.96.0.5 iifname != "veth*" jump mark-for-masquerade');
});

test("chains that are used no more may be there, empty", () => {
  const leftOver = claimsWith("").filter((claim) => isChain(claim) && claim.optional === true);
  const names = leftOver.map((claim) => (isChain(claim) && claim.state.backend === "nft" ? claim.state.chain : ""));
  expect(leftOver.every((claim) => isChain(claim) && claim.rules?.length === 0)).toBe(true);
  // The endpoint that is not ready, the policy that the Service does not have.
  expect(names).toContain(`endpoint-${hashedName("shop/plain/tcp/http__10.244.0.9/8080")}`);
  expect(names).toContain(`local-${hashedName("shop/plain/tcp/http")}`);
});

test("nft takes what is intended, and lists it just so", (context) => {
  const why = noRealNft();
  if (why !== null) {
    console.warn(`skipped: ${why}`);
    context.skip(why);
  }
  const others = [
    "",
    "nodePortAddresses: [0.0.0.0/0, '::/0']\nnftables: {masqueradeAll: true, masqueradeBit: 31}\n",
    "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n",
    "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n",
  ];
  for (const yaml of others) {
    const tables = tablesOf(claimsWith(yaml));
    const listed = parseNftJson(loadAndList(nftRulesetText(tables)), "nft.json", null).tables;
    expect(listed.map(content), yaml).toEqual(tables.map(content));
  }
});

test("names carry the first letters of a hash, and fit", () => {
  // As in kube-proxy's own tests.
  expect(hashedName("ns1/svc1/tcp/p80")).toBe("ULMVA6XW-ns1/svc1/tcp/p80");
  expect(hashedName("ns1/svc1/tcp/p80__10.180.0.1/80")).toBe("5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80");
  const long = hashedName("n".repeat(300));
  expect(long).toHaveLength(240);
  expect(long.endsWith("n...")).toBe(true);
});

/** Members of a set in a rule, and what `nft list` makes of them (tried with 1.0.6). */
const INTERVALS: [string[], NftJson][] = [
  [["1.2.3.4/32"], "1.2.3.4"],
  [["10.0.0.0/8"], { prefix: { addr: "10.0.0.0", len: 8 } }],
  [["10.0.0.0/8", "10.1.0.0/16"], { set: [{ prefix: { addr: "10.0.0.0", len: 8 } }] }],
  [["10.128.0.0/10", "10.0.0.0/9"], { set: [{ range: ["10.0.0.0", "10.191.255.255"] }] }],
  [["10.96.0.0/16", "10.97.0.0/16"], { set: [{ prefix: { addr: "10.96.0.0", len: 15 } }] }],
  [["1.2.3.4/32", "1.2.3.5/32"], { set: [{ prefix: { addr: "1.2.3.4", len: 31 } }] }],
  [["1.2.3.5", "1.2.3.4"], { set: ["1.2.3.4", "1.2.3.5"] }],
  [["0.0.0.0/1", "128.0.0.0/1"], { set: [{ prefix: { addr: "0.0.0.0", len: 0 } }] }],
  [
    ["fe00::/8", "::1/128", "fd00::/8"],
    { set: ["::1", { range: ["fd00::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] }] },
  ],
];

test.each(INTERVALS)("%j in a rule are %j", (members, value) => {
  expect(prefixesValue(members)).toEqual(value);
});
