import { describe, expect, test } from "vitest";
import { link, namespace, route, snapshot, ip } from "../../../../test/support/world.ts";
import { makePod } from "../../../../test/support/snapshot.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { doctor } from "../doctor.ts";
import type { Finding } from "../types.ts";
import { masqueradeTransitAddress } from "./masquerade-transit-address.ts";

const source = { file: "cluster/test.json", line: 1 };
const MASQUERADE = "-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE";
const nat = (rule: string): string => `*nat\n:POSTROUTING ACCEPT [0:0]\n${rule}\nCOMMIT`;
const REFUSED = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -s 172.20.0.0/16 -j DROP\nCOMMIT";

/** A node whose address is on a device of its own, behind a link to a router that hands on only what has that address. */
function world(rule: string, router = REFUSED): Snapshot {
  const n1 = namespace({
    place: "n1/host",
    links: [
      link(2, "dummy0", ["10.0.0.1/32"], { kind: { kind: "dummy" } }),
      link(3, "eth0", ["172.20.0.1/31"]),
      link(4, "cali1", ["10.244.0.1/24"], { peer: 2 }),
    ],
    routes: [route("default via 172.20.0.0 dev eth0", { prefSrc: ip("10.0.0.1") })],
    iptables: nat(rule),
  });
  const pod = namespace({
    place: "n1/pod/shop/a",
    links: [link(2, "eth0", ["10.244.0.2/24"], { peer: 4 })],
    routes: [route("default via 10.244.0.1 dev eth0")],
    more: { pod: { namespace: "shop", name: "a" } },
  });
  const tor = namespace({
    place: "tor/host",
    links: [link(2, "eth0", ["172.20.0.0/31"]), link(3, "eth1", ["203.0.113.1/24"])],
    routes: [route("10.0.0.1/32 via 172.20.0.1 dev eth0")],
    iptables: router,
  });
  const outside = namespace({
    place: "outside/host",
    links: [link(2, "eth0", ["203.0.113.10/24"])],
    routes: [route("default via 203.0.113.1 dev eth0")],
  });
  return snapshot([n1, pod, tor, outside], {
    nodes: ["n1"],
    fabric: {
      segments: [
        {
          name: "link",
          attached: [
            { node: "n1", dev: "eth0" },
            { node: "tor", dev: "eth0" },
          ],
          source,
        },
        {
          name: "beyond",
          attached: [
            { node: "tor", dev: "eth1" },
            { node: "outside", dev: "eth0" },
          ],
          source,
        },
      ],
      routers: ["tor"],
      external: ["outside"],
    },
    cluster: {
      nodes: [
        {
          namespace: "",
          name: "n1",
          labels: {},
          annotations: {},
          source,
          addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
          podCIDRs: ["10.244.0.0/24"],
        },
      ],
      pods: [makePod("shop", "a", "n1", ["10.244.0.2"])],
      services: [],
      endpointSlices: [],
      raw: new Map(),
      missing: new Map(),
    },
  });
}

const findings = (given: Snapshot): Finding[] => doctor(given, { checks: [masqueradeTransitAddress] }).findings;

describe("masquerade-transit-address", () => {
  test("the fabric refuses what the pod sends with the address of the link", () => {
    const found = findings(world(MASQUERADE));
    expect(found.map(({ id, severity, at }) => [id, severity, at])).toEqual([
      ["masquerade-transit-address", "error", "n1/host"],
    ]);
    expect(found[0]?.summary).toContain("by eth0 gets 172.20.0.1");
    expect(found[0]?.summary).toContain("not the node's own 10.0.0.1");
    expect(found[0]?.affects.map(({ from, to }) => [from, to])).toEqual([["n1/pod/shop/a", "203.0.113.10"]]);
  });

  test("a fabric that takes it makes it only unusual", () => {
    expect(findings(world(MASQUERADE, nat("-A POSTROUTING -j ACCEPT"))).map((each) => each.severity)).toEqual(["info"]);
  });

  test("SNAT to the node's own address is what it should be", () => {
    expect(findings(world(MASQUERADE.replace("MASQUERADE", "SNAT --to-source 10.0.0.1")))).toEqual([]);
  });
});
