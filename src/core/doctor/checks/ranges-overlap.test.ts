import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { object, swap, withAddress } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { rangesOverlap } from "./ranges-overlap.ts";

const findings = (name: string, edits: Record<string, Edit>): Finding[] =>
  doctor(altered(name, edits), { checks: [rangesOverlap] }).findings;

describe.skipIf(!hasRecording("flannel-vxlan-dual-iptables"))("ranges-overlap", () => {
  test("is silent where the ranges are apart", () => {
    for (const name of ["flannel-vxlan-dual-iptables", "calico-bgp-tor-policies-iptables"])
      expect(findings(name, {})).toEqual([]);
  });

  test("Services and pods", () => {
    const found = findings("flannel-vxlan-dual-iptables", {
      "cluster/servicecidrs.networking.k8s.io.json": swap("10.96.0.0/16", "10.244.128.0/17"),
    });
    expect(found.map(({ severity, at }) => [severity, at])).toEqual([["warning", "cluster"]]);
    expect(found[0]?.summary).toContain("share 10.244.128.0/17");
    expect(found[0]?.evidence.map((each) => each.file)).toContain("cluster/servicecidrs.networking.k8s.io.json");
  });

  test("a pool and the network of the nodes", () => {
    const found = findings("calico-bgp-tor-policies-iptables", {
      "cluster/ippools.crd.projectcalico.org.json": swap('"10.244.0.0/16"', '"172.30.0.0/16"'),
    });
    expect(found.map(({ severity }) => severity)).toEqual(["warning", "warning"]);
    expect(found.map((each) => each.summary).join()).toContain("IPPool default-ipv4-ippool 172.30.0.0/16");
  });

  test("pods and a network beyond, which pods then do not reach", () => {
    const outside = {
      ...withAddress("outside", "eth0", "10.244.200.10/24"),
      ...withAddress("fabric", "kwo0", "10.244.200.1/24"),
    };
    const found = findings("flannel-vxlan-iptables", outside);
    expect(found.map(({ at, severity }) => [at, severity])).toEqual([["cluster", "warning"]]);
    expect(found[0]?.summary).toContain("kwo0 share 10.244.200.0/24");
    // Now that range is a node's: its pods' packets for the host outside end on its bridge.
    const hurt = findings("flannel-vxlan-iptables", {
      ...withAddress("outside", "eth0", "10.244.1.200/24"),
      ...withAddress("fabric", "kwo0", "10.244.1.199/24"),
    });
    expect(hurt[0]?.severity).toBe("error");
    expect(hurt[0]?.affects.map((each) => each.address)).toContain("10.244.1.200");
  });

  test("one podCIDR of two nodes", () => {
    const found = findings("flannel-vxlan-iptables", {
      "cluster/nodes.json": object("n2", (node) => {
        node["spec"] = { podCIDR: "10.244.0.0/24", podCIDRs: ["10.244.0.0/24"] };
      }),
    });
    expect(found.map(({ id }) => id)).toEqual(["ranges-overlap"]);
    expect(found[0]?.summary).toContain("pods of both get the same addresses");
  });
});
