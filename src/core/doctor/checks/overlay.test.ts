/** Checks of tunnels and of routes to other nodes' pods, on recordings with one thing altered. */
import { describe, expect, test } from "vitest";
import type { Check } from "../check.ts";
import { doctor } from "../doctor.ts";
import { CHECKS } from "../registry.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { object } from "../testing/edits.ts";
import { heads, lines, rows, ruleFirst, without } from "../testing/network-edits.ts";
import type { Finding } from "../types.ts";

const FLANNEL = "flannel-vxlan-iptables";
const HOST_GW = "flannel-hostgw-nftables";
const BGP = "calico-bgp-iptables--policy-blocks";

const IDS = new Set([
  "vtep-neighbour-wrong",
  "vtep-fdb-missing",
  "vtep-duplicate",
  "tunnel-down",
  "bgp-down",
  "block-route-missing",
  "tunnel-filtered",
  "route-shadowed",
  "next-hop-dead",
]);
const checks: Check[] = CHECKS.filter((check) => check.ids.some((id) => IDS.has(id)));
const find = (name: string, edits: Record<string, Edit> = {}): Finding[] =>
  doctor(altered(name, edits), { checks }).findings;

/** Every walk that a finding has is from or to pods of `node`, or by way of it. */
const places = (finding: Finding | undefined): Set<string> =>
  new Set(finding?.affects.flatMap(({ from }) => from.split("/", 1)) ?? []);

describe.skipIf(!hasRecording(FLANNEL))("flannel's tunnel", () => {
  const subnet = (row: Record<string, unknown>): boolean => row["dst"] === "10.244.1.0/24";

  test("is healthy as it was recorded", () => {
    expect(find(FLANNEL)).toEqual([]);
  });

  test("a neighbour entry with the MAC of another node's end", () => {
    const found = find(FLANNEL, {
      "nodes/n1/host/neigh.json": (text) => {
        const table = JSON.parse(text) as Record<string, unknown>[];
        const other = table.find((row) => row["dst"] === "10.244.3.0");
        for (const row of table) if (row["dst"] === "10.244.1.0") row["lladdr"] = other?.["lladdr"];
        return JSON.stringify(table);
      },
    });
    // What goes to n3 is sent on to n2, but n3 sees half of each connection, and KUBE-FORWARD drops what is INVALID.
    expect(heads(found)).toEqual(["error vtep-neighbour-wrong n1/host"]);
    expect(found[0]?.evidence[0]).toMatchObject({ file: "nodes/n1/host/neigh.json" });
    expect(found[0]?.remedy.at(-1)).toMatch(/^ip neigh replace 10\.244\.1\.0 dev flannel\.1 lladdr \S+ nud permanent$/);
  });

  test("no neighbour entry and no forwarding entry for a peer: one finding, and who it hurts", () => {
    const found = find(FLANNEL, {
      "nodes/n1/host/neigh.json": without((row) => row["dst"] === "10.244.1.0"),
      "nodes/n1/host/fdb.json": without((row) => row["dst"] === "172.30.0.12"),
    });
    expect(heads(found)).toEqual(["error vtep-neighbour-wrong n1/host"]);
    expect(found[0]?.affects.some(({ from, to }) => from.startsWith("n1/pod/") && to.startsWith("pod:"))).toBe(true);
    // The way between the other two nodes is none of it.
    expect(found[0]?.affects.some(({ from, to }) => from === "n3/host" && to === "node:n2")).toBe(false);
  });

  test("the route to a peer's pods is gone, or leads to another node", () => {
    for (const edit of [
      without(subnet),
      rows(subnet, (row) => Object.assign(row, { type: "blackhole", gateway: undefined, dev: undefined, flags: [] })),
    ]) {
      const found = find(FLANNEL, { "nodes/n1/host/route4.json": edit });
      expect(heads(found)).toEqual(["error tunnel-down n1/host"]);
      expect(found[0]?.summary).toContain("10.244.1.0/24 (pods of n2)");
      expect(found[0]?.remedy).toContain("ip route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink");
      expect(places(found[0])).toContain("n1");
    }
  });

  test("a device that is gone, with everything that was on it", () => {
    const own = (row: Record<string, unknown>): boolean => row["ifname"] === "flannel.1" || row["dev"] === "flannel.1";
    const found = find(FLANNEL, {
      "nodes/n3/host/addr.json": without(own),
      "nodes/n3/host/route4.json": without(own),
      "nodes/n3/host/sockets.txt": lines((line) => !line.includes(":8472 ")),
    });
    expect(heads(found)).toEqual(["error tunnel-down n3/host"]);
    expect(found[0]?.summary).toContain("has no VXLAN device with number 1 and port 8472");
  });

  test("a device that takes more than fits into the uplink", () => {
    const found = find(FLANNEL, {
      "nodes/n1/host/addr.json": rows(
        (row) => row["ifname"] === "flannel.1",
        (row) => Object.assign(row, { mtu: 1500 }),
      ),
    });
    expect(heads(found)).toEqual(["warning tunnel-down n1/host"]);
    expect(found[0]?.remedy).toEqual(["ip link set flannel.1 mtu 1450"]);
  });

  test("a node that tells a MAC which its device has not: one cause, whatever the others wrote", () => {
    const stale = "02:00:00:00:00:99";
    const found = find(FLANNEL, {
      "cluster/nodes.json": object("n2", (node) => {
        const { annotations } = node["metadata"] as { annotations: Record<string, string> };
        annotations["flannel.alpha.coreos.com/backend-data"] = JSON.stringify({ VNI: 1, VtepMAC: stale });
      }),
      ...Object.fromEntries(
        ["n1", "n3"].flatMap((node): [string, Edit][] => [
          [
            `nodes/${node}/host/neigh.json`,
            rows(
              (row) => row["dst"] === "10.244.1.0",
              (row) => Object.assign(row, { lladdr: stale }),
            ),
          ],
          [
            `nodes/${node}/host/fdb.json`,
            rows(
              (row) => row["dst"] === "172.30.0.12",
              (row) => Object.assign(row, { mac: stale }),
            ),
          ],
        ]),
      ),
    });
    expect(heads(found)).toEqual(["error vtep-duplicate n2/host"]);
    expect(found[0]?.summary).toContain(stale);
  });

  test("a static route to part of a peer's pods is a warning before any pod is there", () => {
    const stray = {
      type: "unicast",
      dst: "10.244.1.64/26",
      dev: "eth0",
      table: "main",
      protocol: "static",
      scope: "link",
      flags: [],
    };
    const found = find(FLANNEL, {
      "nodes/n1/host/route4.json": (text) => JSON.stringify([...(JSON.parse(text) as unknown[]), stray]),
    });
    expect(heads(found)).toEqual(["warning route-shadowed n1/host"]);
    expect(found[0]?.remedy).toContain("ip route del 10.244.1.64/26 dev eth0");
  });

  test("one of two default gateways is dead", () => {
    const found = find(FLANNEL, {
      "nodes/n1/host/route4.json": rows(
        (row) => row["dst"] === "default",
        (row) => {
          delete row["gateway"];
          delete row["dev"];
          row["nexthops"] = ["172.30.0.1", "172.30.0.254"].map((gateway) => ({
            gateway,
            dev: "eth0",
            weight: 1,
            flags: [],
          }));
        },
      ),
    });
    expect(heads(found)).toEqual(["error next-hop-dead n1/host"]);
    expect(found[0]?.summary).toContain("1 of 2 connections");
    expect(found[0]?.affects.every(({ share }) => share === null || share.num !== share.den || share.den === 1)).toBe(
      true,
    );
  });
});

describe.skipIf(!hasRecording(HOST_GW))("flannel without a tunnel", () => {
  test("a missing route to a neighbour's pods", () => {
    expect(find(HOST_GW)).toEqual([]);
    const found = find(HOST_GW, { "nodes/n1/host/route4.json": without((row) => row["dst"] === "10.244.1.0/24") });
    expect(heads(found)).toEqual(["error block-route-missing n1/host"]);
    expect(found[0]?.remedy).toContain("ip route replace 10.244.1.0/24 via 172.30.0.12");
  });
});

describe.skipIf(!hasRecording(BGP))("Calico's BGP", () => {
  const deaf = lines((line) => !/:179 /.test(line));
  const block = (row: Record<string, unknown>): boolean =>
    row["dst"] === "10.244.217.0/26" && row["gateway"] !== undefined;

  test("is healthy as it was recorded", () => {
    expect(find(BGP)).toEqual([]);
  });

  test("BIRD is dead: a warning while graceful restart lasts, then an error that has every missing route", () => {
    const early = find(BGP, { "nodes/n2/host/sockets.txt": deaf });
    expect(heads(early)).toEqual(["warning bgp-down n2/host"]);
    expect(early[0]?.summary).toContain("when the time of graceful restart is over");
    const late = find(BGP, {
      "nodes/n2/host/sockets.txt": deaf,
      "nodes/n1/host/route4.json": without(block),
      "nodes/n3/host/route4.json": without(block),
    });
    expect(heads(late)).toEqual(["error bgp-down n2/host"]);
    expect(late[0]?.evidence.map(({ text }) => text)).toContain("n1 has no route 10.244.217.0/26 via n2");
    expect(places(late[0])).toEqual(expect.objectContaining(new Set(["n1", "n3"])));
  });

  test("a block that one node has no route to, although BIRD runs everywhere", () => {
    const found = find(BGP, { "nodes/n1/host/route4.json": without(block) });
    expect(heads(found)).toEqual(["error block-route-missing n1/host"]);
    expect(found[0]?.remedy).toContain("ip route replace 10.244.217.0/26 via 172.30.0.12");
  });

  test("a firewall that no session of BGP gets through", () => {
    const one = {
      "nodes/n2/host/iptables-save.txt": ruleFirst("filter", "-A INPUT -p tcp -m tcp --dport 179 -j DROP"),
    };
    // BIRD on n2 can still connect to the others.
    expect(find(BGP, one)).toEqual([]);
    const both: Edit = (text) => {
      const first = ruleFirst("filter", "-A INPUT -p tcp -m tcp --dport 179 -j DROP") as (text: string) => string;
      const second = ruleFirst("filter", "-A INPUT -p tcp -m tcp --sport 179 -j DROP") as (text: string) => string;
      return second(first(text));
    };
    const found = find(BGP, { "nodes/n2/host/iptables-save.txt": both });
    expect(new Set(heads(found))).toEqual(new Set(["error tunnel-filtered n2/host"]));
    expect(found[0]?.summary).toContain("BGP (TCP 179)");
  });
});
