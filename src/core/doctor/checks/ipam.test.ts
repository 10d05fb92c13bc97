import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { json, object, swap } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { ipamExhausted } from "./ipam-exhausted.ts";
import { poolMismatch } from "./pool-mismatch.ts";

const CALICO = "calico-vxlan-policies-iptables";
const FLANNEL = "flannel-vxlan-dual-iptables";
const findings = (name: string, edits: Record<string, Edit>): Finding[] =>
  doctor(altered(name, edits), { checks: [ipamExhausted, poolMismatch] }).findings;
const brief = (found: readonly Finding[]): string[][] => found.map(({ id, severity, at }) => [id, severity, at]);

const POOLS = "cluster/ippools.crd.projectcalico.org.json";
const CALICO_NODES = ["n1", "n2", "n3"];
const onEachNode = (edit: Edit): Record<string, Edit> =>
  Object.fromEntries(CALICO_NODES.map((node) => [`nodes/${node}/programs/calico-felix.cmdline`, edit]));

interface Block {
  spec: { allocations: (number | null)[]; unallocated: number[]; attributes: unknown[] };
}

describe.skipIf(!hasRecording(CALICO))("pool-mismatch and ipam-exhausted", () => {
  test("are silent where pools, ranges and nodes agree and have room", () => {
    for (const name of [CALICO, FLANNEL]) expect(findings(name, {})).toEqual([]);
  });

  test("calico-node was told of a range that is no pool's", () => {
    const found = findings(
      CALICO,
      onEachNode(swap("CALICO_IPV4POOL_CIDR=10.244.0.0/16", "CALICO_IPV4POOL_CIDR=192.168.0.0/16")),
    );
    expect(brief(found)).toEqual([["pool-mismatch", "warning", "cluster"]]);
    expect(found[0]?.summary).toContain("CALICO_IPV4POOL_CIDR 192.168.0.0/16, but the pools are 10.244.0.0/16");
    expect(found[0]?.evidence.map((each) => each.file)).toEqual(["nodes/n1/programs/calico-felix.cmdline", POOLS]);
  });

  test("one calico-node was told so", () => {
    const edit = swap("CALICO_IPV4POOL_CIDR=10.244.0.0/16", "CALICO_IPV4POOL_CIDR=192.168.0.0/16");
    const found = findings(CALICO, { "nodes/n2/programs/calico-felix.cmdline": edit });
    expect(brief(found)).toEqual([["pool-mismatch", "warning", "n2/host"]]);
  });

  test("the pool is another than calico-node and kube-proxy were told, and the pods are in none", () => {
    const found = findings(CALICO, { [POOLS]: swap('"10.244.0.0/16"', '"10.99.0.0/16"') });
    expect(new Set(found.map((each) => each.id))).toEqual(new Set(["pool-mismatch"]));
    const all = found.map((each) => each.summary).join("\n");
    expect(all).toContain("have addresses of no IP pool");
    expect(all).toContain("is not in kube-proxy's clusterCIDR 10.244.0.0/16");
  });

  test("a pool that was split is somebody's decision", () => {
    expect(
      findings(CALICO, { [POOLS]: swap('"10.244.0.0/16"', '"10.244.0.0/17"') }).filter((each) =>
        each.summary.includes("was told"),
      ),
    ).toEqual([]);
  });

  test("every block is full", () => {
    const found = findings(CALICO, {
      "cluster/ipamblocks.crd.projectcalico.org.json": json<{ items: Block[] }>(({ items }) => {
        for (const { spec } of items) {
          spec.allocations = spec.allocations.map((each) => each ?? 0);
          spec.unallocated = [];
        }
      }),
      "cluster/ipamconfigs.crd.projectcalico.org.json": JSON.stringify({
        kind: "List",
        items: [
          {
            metadata: { name: "default" },
            spec: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 1 },
          },
        ],
      }),
    });
    expect(brief(found).every(([id, severity]) => id === "ipam-exhausted" && severity === "warning")).toBe(true);
    expect(found[0]?.summary).toContain("may have 1");
    expect(found[0]?.evidence[0]?.file).toBe(POOLS);
  });

  test("host-local has given out its last address", () => {
    const folder = "nodes/n2/files/var/lib/cni/networks/cbr0";
    const held = Object.fromEntries(
      Array.from({ length: 252 }, (_, i): [string, Edit] => [`${folder}/10.244.1.${i + 2}`, `c${i}\r\neth0`]),
    );
    const found = findings(FLANNEL, { ...held, [`${folder}/10.244.1.254`]: "c\r\neth0" });
    expect(brief(found)).toEqual([["ipam-exhausted", "warning", "n2/host"]]);
    expect(found[0]?.summary).toMatch(/all 253 of 10\.244\.1\.0\/24 are given out, \d+ of them held for no pod/);
    expect(found[0]?.remedy.join()).toContain("rm /var/lib/cni/networks/cbr0/10.244.1.");
  });

  test("a node got no podCIDR, for the cluster's range is used up", () => {
    const bare = object("n3", (node) => {
      node["spec"] = {};
    });
    const few = swap("10.244.0.0/16", "10.244.0.0/23");
    const found = findings(FLANNEL, {
      "cluster/nodes.json": bare,
      ...Object.fromEntries(CALICO_NODES.map((node) => [`nodes/${node}/programs/kube-proxy.yaml`, few])),
    });
    expect(brief(found)).toEqual([["ipam-exhausted", "warning", "n3/host"]]);
    expect(found[0]?.summary).toContain("all 2 /24 of the cluster's 10.244.0.0/23 are taken");
  });

  test("a node without a podCIDR lacks nothing where Calico's IPAM gives out addresses", () => {
    const bare = object("n3", (node) => {
      node["spec"] = {};
    });
    expect(findings(CALICO, { "cluster/nodes.json": bare })).toEqual([]);
  });
});
