// Whom a node learns routes of, and by which next hop (RFC 4271, RFC 4456; confd's peerings).
import { expect, test } from "vitest";
import { clusterOf, machine, node, siteOf } from "../testing/world.ts";
import { bgpRoutes } from "./routes.ts";

type Json = Record<string, unknown>;

/** Of whom each node learns, `n2` directly, `n2 via 10.0.1.1` through another; `external` marks what comes from another AS. */
function learned(nodes: Json[], bgp: { configuration?: Json; peers?: Json[] }): Record<string, string[]> {
  const names = nodes.map((each) => (each["metadata"] as { name: string }).name);
  const addresses = new Map(
    nodes.map((each, i) => [names[i], (each["status"] as { addresses: { address: string }[] }).addresses[0]?.address]),
  );
  const cluster = clusterOf({
    nodes,
    "bgpconfigurations.crd.projectcalico.org": bgp.configuration
      ? [{ metadata: { name: "default" }, spec: bgp.configuration }]
      : [],
    "bgppeers.crd.projectcalico.org": (bgp.peers ?? []).map((spec, i) => ({ metadata: { name: `p${i}` }, spec })),
    "ippools.crd.projectcalico.org": [{ metadata: { name: "pool" }, spec: { cidr: "10.244.0.0/16" } }],
    "blockaffinities.crd.projectcalico.org": names.map((name, i) => ({
      metadata: { name },
      spec: { cidr: `10.244.${i}.0/26`, node: name, state: "confirmed" },
    })),
  });
  const machines = names.map((name) => machine(cluster, name, []));
  const site = siteOf(cluster, machines);
  return Object.fromEntries(
    machines.map((each) => {
      const routes = bgpRoutes(site, each).filter(({ type }) => type === "unicast");
      const lines = routes.map(({ origin, asPath, hops }) => {
        const via = hops.map(({ address }) => address).toSorted();
        const direct = via.length === 1 && via[0] === addresses.get(origin);
        return [origin, asPath.length > 0 ? "external" : "", direct ? "" : `via ${via.join(" ")}`]
          .filter((part) => part !== "")
          .join(" ");
      });
      return [each.name, lines.toSorted()];
    }),
  );
}

const three = [node("n1", "10.0.0.1/24"), node("n2", "10.0.0.2/24"), node("n3", "10.0.0.3/24")];

test("in the mesh each learns of all", () => {
  expect(learned(three, {})).toEqual({ n1: ["n2", "n3"], n2: ["n1", "n3"], n3: ["n1", "n2"] });
});

test("without mesh and peers nobody learns anything", () => {
  expect(learned(three, { configuration: { nodeToNodeMeshEnabled: false } })).toEqual({ n1: [], n2: [], n3: [] });
});

test("a peering leads no further within an AS", () => {
  const peers = [
    { node: "n1", peerIP: "10.0.0.2", asNumber: 64512 },
    { node: "n2", peerIP: "10.0.0.3:179", asNumber: 64512 },
  ];
  const configuration = { nodeToNodeMeshEnabled: false };
  expect(learned(three, { configuration, peers })).toEqual({ n1: ["n2"], n2: ["n1", "n3"], n3: ["n2"] });
});

test("between ASes it does, and over several hops each names itself as the next", () => {
  const nodes = [
    node("n1", "10.0.0.1/24", { ASNumber: "65001" }),
    node("n2", "10.0.0.2/24", { ASNumber: "65002" }),
    three[2] ?? {},
  ];
  const peers = [
    { node: "n1", peerIP: "10.0.0.2", asNumber: 65002 },
    { node: "n2", peerIP: "10.0.0.3" },
  ];
  const configuration = { nodeToNodeMeshEnabled: false };
  expect(learned(nodes, { configuration, peers })).toEqual({
    n1: ["n2 external", "n3 external via 10.0.0.2"],
    n2: ["n1 external", "n3 external"],
    n3: ["n1 external via 10.0.0.2", "n2 external"],
  });
});

test("a reflector tells its clients of each other, and is not part of the mesh", () => {
  const labels = { reflector: "true" };
  const nodes = [
    node("n1", "10.0.0.1/24"),
    node("n2", "10.0.0.2/24"),
    node("rr", "10.0.0.9/24", { RouteReflectorClusterID: "244.0.0.1" }, labels),
  ];
  const peers = [{ nodeSelector: "!has(reflector)", peerSelector: "has(reflector)" }];
  const configuration = { nodeToNodeMeshEnabled: false };
  expect(learned(nodes, { configuration, peers })).toEqual({ n1: ["n2", "rr"], n2: ["n1", "rr"], rr: ["n1", "n2"] });
  expect(learned(nodes, {})).toEqual({ n1: ["n2"], n2: ["n1"], rr: [] });
});

test("two reflectors of one cluster", () => {
  const reflector = (name: string, address: string) =>
    node(name, address, { RouteReflectorClusterID: "244.0.0.1" }, { reflector: "true" });
  const nodes = [
    node("n1", "10.0.0.1/24"),
    node("n2", "10.0.0.2/24"),
    reflector("r1", "10.0.0.8/24"),
    reflector("r2", "10.0.0.9/24"),
  ];
  const peers = [
    { node: "n1", peerIP: "10.0.0.8" },
    { node: "n2", peerIP: "10.0.0.9" },
    { nodeSelector: "has(reflector)", peerSelector: "has(reflector)" },
  ];
  const configuration = { nodeToNodeMeshEnabled: false };
  // r2 drops what r1 tells it of n1, because that went through their cluster already; r1's own blocks did not.
  expect(learned(nodes, { configuration, peers })["n2"]).toEqual(["r1", "r2"]);
  const both = [{ nodeSelector: "all()", peerSelector: "has(reflector)" }];
  expect(learned(nodes, { configuration, peers: both })["n2"]).toEqual(["n1", "r1", "r2"]);
});

test("routers of racks lead to other racks by themselves, within one by the node; the own AS is refused unless it may stand in the path", () => {
  const nodes = [
    node("n1", "10.0.1.1/24", {}, { rack: "1" }),
    node("n2", "10.0.2.2/24", {}, { rack: "2" }),
    node("n3", "10.0.1.3/24", { ASNumber: "65003" }, { rack: "1" }),
  ];
  const peer = (rack: string, peerIP: string, more: Json = {}) => ({
    nodeSelector: `rack == '${rack}'`,
    peerIP,
    asNumber: 64600,
    ...more,
  });
  const configuration = { nodeToNodeMeshEnabled: false };
  const peers = [peer("1", "10.0.1.254"), peer("2", "10.0.2.254", { numAllowedLocalASNumbers: 1 })];
  expect(learned(nodes, { configuration, peers: [...peers, peer("1", "10.0.1.253")] })["n3"]).toEqual([
    "n1 external",
    "n2 external via 10.0.1.253 10.0.1.254",
  ]);
  expect(learned(nodes, { configuration, peers })).toEqual({
    n1: ["n3 external"],
    n2: ["n1 external via 10.0.2.254", "n3 external via 10.0.2.254"],
    n3: ["n1 external", "n2 external via 10.0.1.254"],
  });
});
