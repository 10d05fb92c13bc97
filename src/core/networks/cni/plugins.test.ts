/** The plugins themselves, called as a runtime calls them, make what this network says that they make. */
import { expect, test } from "vitest";
import { cni } from "./index.ts";
import { compareWith } from "./testing/compare.ts";
import { inside, whyNot, withNamespaces } from "./testing/namespaces.ts";
import { PLUGINS, versionsOf, withRealNode, type RealPod } from "./testing/real-node.ts";

const why = whyNot(["ip", "iptables-save", "nft", `${PLUGINS}/bridge`, `${PLUGINS}/portmap`]);

const PORTS = [
  { hostPort: 8080, containerPort: 80, protocol: "tcp" },
  { hostPort: 5353, containerPort: 53, protocol: "udp" },
  { hostPort: 9090, containerPort: 90, protocol: "tcp", hostIP: "192.0.2.11" },
  { hostPort: 8443, containerPort: 443, protocol: "tcp", hostIP: "0.0.0.0" },
];
const PODS: RealPod[] = [{ name: "plain" }, { name: "ports", ports: PORTS }];

const dual = (dataDir: string, more: object = {}) => ({
  type: "host-local",
  dataDir,
  ranges: [[{ subnet: "10.9.1.0/24", rangeStart: "10.9.1.32" }], [{ subnet: "fd00:9:1::/64" }]],
  routes: [{ dst: "10.9.0.0/16" }, { dst: "fd00:9::/48" }],
  ...more,
});
const single = (dataDir: string) => ({
  type: "host-local",
  dataDir,
  subnet: "10.9.2.0/24",
  gateway: "10.9.2.254",
  routes: [{ dst: "0.0.0.0/0" }, { dst: "203.0.113.0/24", gw: "10.9.2.7" }],
});
const portmap = { type: "portmap", capabilities: { portMappings: true } };

/** Owner and equal pieces at least of each. */
type Least = Record<string, number>;

const CASES: [string, (dataDir: string) => object[], RealPod[], Least][] = [
  [
    "bridge, both families, masquerading, host ports",
    (dataDir) => [
      { type: "bridge", mtu: 1400, isDefaultGateway: true, ipMasq: true, hairpinMode: true, ipam: dual(dataDir) },
      portmap,
    ],
    PODS,
    { bridge: 48, portmap: 30 },
  ],
  [
    "bridge of another name, gateway elsewhere, host ports on conditions",
    (dataDir) => [
      { type: "bridge", bridge: "br-x", promiscMode: true, ipam: single(dataDir) },
      { ...portmap, markMasqBit: 9, conditionsV4: ["!", "-d", "192.0.2.0/24"] },
    ],
    PODS,
    { bridge: 12, portmap: 15 },
  ],
  [
    "bridge, host ports without masquerading",
    (dataDir) => [
      { type: "bridge", isGateway: true, ipam: single(dataDir) },
      { ...portmap, snat: false },
    ],
    PODS,
    { bridge: 12, portmap: 8 },
  ],
  [
    "bridge with nftables, host ports for everyone",
    (dataDir) => [
      { type: "bridge", isGateway: true, ipMasq: true, ipMasqBackend: "nftables", ipam: dual(dataDir) },
      { ...portmap, backend: "nftables" },
    ],
    PODS,
    { bridge: 36, portmap: 20 },
  ],
  [
    "bridge, host ports of IPv4 masqueraded for everyone",
    (dataDir) => [
      { type: "bridge", isGateway: true, ipam: single(dataDir) },
      { ...portmap, masqAll: true },
    ],
    PODS,
    { bridge: 12, portmap: 14 },
  ],
  ["bridge, layer 2 only", () => [{ type: "bridge", isGateway: true }], PODS, { bridge: 6 }],
  ["bridge with VLANs", () => [{ type: "bridge", vlan: 100 }], [{ name: "plain" }], { bridge: 4 }],
  [
    "ptp, both families, masquerading, host ports",
    (dataDir) => [{ type: "ptp", mtu: 1380, ipMasq: true, ipam: dual(dataDir) }, portmap],
    PODS,
    { ptp: 45, portmap: 30 },
  ],
  ...["bridge", "private", "vepa"].map((mode): (typeof CASES)[number] => [
    `macvlan ${mode}`,
    (dataDir) => [{ type: "macvlan", master: "eth0", mode, mtu: 1450, ipam: dual(dataDir) }],
    PODS,
    { macvlan: 16 },
  ]),
  [
    "macvlan passthru, layer 2 only",
    () => [{ type: "macvlan", mode: "passthru", master: "eth0" }],
    [{ name: "plain" }],
    { macvlan: 1 },
  ],
  ...["l2", "l3", "l3s"].map((mode): (typeof CASES)[number] => [
    `ipvlan ${mode}`,
    (dataDir) => [{ type: "ipvlan", master: "eth0", mode, ipam: single(dataDir) }],
    PODS,
    { ipvlan: 8 },
  ]),
];

/** Whether this kernel has a kind of device. */
const has = (kind: string, ...options: string[]): Promise<boolean> =>
  withNamespaces(1, ([name = ""]) => {
    try {
      inside(name, "ip", ["link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]);
      const lower = kind === "bridge" ? [] : ["link", "probe0"];
      inside(name, "ip", ["link", "add", "probe2", ...lower, "type", kind, ...options]);
      return true;
    } catch {
      return false;
    }
  });

/** What this kernel, or these plugins, lack for a case; null when it can run. */
async function lackFor(kind: string, conf: string): Promise<string | null> {
  if (kind.endsWith("vlan") && !(await has(kind))) return `this kernel has no ${kind}`;
  if (conf.includes('"vlan":') && !(await has("bridge", "vlan_filtering", "1"))) return "this kernel has no VLANs";
  const late = conf.includes('"nftables"') || conf.includes('"masqAll"');
  return late && !versionsOf("portmap").includes("1.1.0") ? "these plugins are older than v1.6" : null;
}

const lacks = new Map<string, string>();
if (why === null) {
  for (const [name, plugins, , least] of CASES) {
    const lack = await lackFor(Object.keys(least)[0] ?? "", JSON.stringify(plugins("")));
    if (lack !== null) lacks.set(name, lack);
  }
}
for (const [name, lack] of lacks) console.warn(`left out: ${name}: ${lack}`);

/** What the plugins make and nobody claims: devices, addresses, chains, rules and routes of theirs. */
const TRACE = /\bcni0\b|\bbr-x\b|\bveth[0-9a-f]{8}\b|eth0@|10\.9\.|fd00:9|CNI-|cni_/;

for (const [name, plugins, pods, least] of CASES.filter(([each]) => !lacks.has(each))) {
  test(name, async (context) => {
    if (why !== null) {
      console.warn(`skipped: ${why}`);
      context.skip(why);
    }
    await withRealNode(
      (dataDir) => ({ cniVersion: "1.0.0", name: "test-net", plugins: plugins(dataDir) }),
      pods,
      (snapshot) => {
        const diff = compareWith(snapshot, [cni]);
        expect(diff.differences.map((each) => JSON.stringify({ ...each, source: undefined }))).toEqual([]);
        expect(diff.unowned.filter((each) => TRACE.test(each.text)).map((each) => `${each.at} ${each.text}`)).toEqual(
          [],
        );
        for (const [owner, count] of Object.entries(least)) {
          const equal = diff.owners.filter((each) => each.owner === owner).reduce((sum, each) => sum + each.equal, 0);
          expect(equal, owner).toBeGreaterThanOrEqual(count);
        }
      },
    );
  });
}
