import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { json, object } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { duplicatePodAddress } from "./duplicate-pod-address.ts";
import { leakedAddress } from "./leaked-address.ts";

const NAME = "flannel-vxlan-iptables";
const PODS = "cluster/pods.json";

const findings = (edits: Record<string, Edit>, name = NAME): Finding[] =>
  doctor(altered(name, edits), { checks: [duplicatePodAddress, leakedAddress] }).findings;

interface Row {
  ifname: string;
  addr_info: object[];
}

describe.skipIf(!hasRecording(NAME))("duplicate-pod-address, leaked-address", () => {
  test.each([
    NAME,
    "flannel-hostgw-nftables",
    "flannel-vxlan-dual-iptables",
    "calico-vxlan-policies-iptables",
    "calico-bgp-tor-policies-iptables",
  ])("%s has neither", (name) => expect(findings({}, name)).toEqual([]));

  test("a pod that has another's address as well", () => {
    const [found, ...more] = findings({
      "nodes/n1/netns/4026532761/addr.json": json<Row[]>((rows) => {
        rows
          .find(({ ifname }) => ifname === "eth0")!
          .addr_info.push({ family: "inet", local: "10.244.0.2", prefixlen: 32, scope: "global" });
      }),
    });
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id: "duplicate-pod-address", at: "n1/pod/shop/client-lml8n" });
    expect(found?.summary).toContain("that of pod shop/web-7585fcc48-vrljt");
    expect(found?.evidence.map(({ file }) => file)).toEqual([
      "nodes/n1/netns/4026532761/addr.json",
      "nodes/n1/netns/4026532617/addr.json",
    ]);
  });

  test("two pods that were given one address", () => {
    const found = findings({
      [PODS]: object("client-nwr95", (pod) =>
        Object.assign(pod["status"] as object, { podIP: "10.244.3.2", podIPs: [{ ip: "10.244.3.2" }] }),
      ),
    });
    expect(found.find(({ id }) => id === "duplicate-pod-address")).toMatchObject({
      severity: "warning",
      at: "n3/pod/shop/client-nwr95",
    });
  });

  test("addresses and namespaces that nobody gave back harm nobody as yet", () => {
    const found = findings({
      "nodes/n1/files/var/lib/cni/networks/cbr0/10.244.0.9": "0123456789abcdef\neth0",
      [PODS]: json<{ items: { metadata: { name: string } }[] }>((list) => {
        list.items = list.items.filter(({ metadata }) => metadata.name !== "client-4lc6q");
      }),
    });
    expect(found.map(({ id, severity, at }) => [id, severity, at])).toEqual([
      ["leaked-address", "info", "n1/host"],
      ["leaked-address", "info", "n2/host"],
    ]);
    expect(found[0]?.summary).toContain("10.244.0.9");
    expect(found[1]?.summary).toContain("n2/pod/shop/client-4lc6q");
  });
});
