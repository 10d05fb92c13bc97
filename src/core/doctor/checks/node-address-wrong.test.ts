import { describe, expect, test } from "vitest";
import type { Finding } from "../types.ts";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { swap, withAddress } from "../testing/edits.ts";
import { nodeAddressWrong } from "./node-address-wrong.ts";

const NAME = "flannel-vxlan-iptables";
const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [nodeAddressWrong] }).findings;

describe.skipIf(!hasRecording(NAME))("node-address-wrong", () => {
  test("is silent where every node has the address that it goes by", () => {
    expect(findings({})).toEqual([]);
  });

  test("an InternalIP that no interface has: whoever sends to it is hurt", () => {
    const found = findings({ "cluster/nodes.json": swap('"address": "172.30.0.12"', '"address": "172.30.0.99"') });
    expect(found.map(({ id, severity, at }) => [id, severity, at])).toEqual([
      ["node-address-wrong", "error", "n2/host"],
    ]);
    expect(found[0]?.summary).toContain("until kubelet reports anew with --node-ip 172.30.0.12");
    expect(found[0]?.evidence.map((each) => each.file)).toContain("cluster/nodes.json");
    expect(new Set(found[0]?.affects.map((each) => each.address))).toEqual(new Set(["172.30.0.99"]));
    expect(found[0]?.affects.length).toBeGreaterThan(3);
  });

  test.each([
    [
      "of nobody",
      "172.30.0.12",
      "172.30.0.77",
      'will not start again with --node-ip 172.30.0.77: failed to validate nodeIP: node IP: "172.30.0.77" not found',
    ],
    [
      "link-local",
      "172.30.0.12",
      "172.30.0.12,fe80::2df:18ff:fe7e:53e9",
      "secondaryNodeIP: nodeIP can't be a link-local",
    ],
    ["mapped beside its own", "172.30.0.12", "172.30.0.12,::ffff:172.30.0.12", "dual-stack pair"],
    ["mapped alone", "172.30.0.12", "::ffff:172.30.0.12", "an IPv4 address written as IPv6"],
  ])("--node-ip %s is a warning for kubelet's next start", (_, from, to, said) => {
    const found = findings({ "nodes/n2/programs/kubelet.cmdline": swap(from, to) });
    expect(found.map(({ severity, at }) => [severity, at])).toEqual([["warning", "n2/host"]]);
    expect(found[0]?.summary).toContain(said);
    expect(found[0]?.evidence[0]?.file).toBe("nodes/n2/programs/kubelet.cmdline");
  });

  test("of two interfaces the one beyond the virtual address and the other nodes", () => {
    const keepalived = `vrrp_instance API {
  interface eth0
  virtual_router_id 51
  virtual_ipaddress {
    172.30.0.100/24
  }
}
`;
    const second = withAddress("n2", "eth0", "192.168.7.12/24");
    const found = findings({
      ...second,
      "cluster/nodes.json": swap('"address": "172.30.0.12"', '"address": "192.168.7.12"'),
      "nodes/n2/programs/kubelet.cmdline": swap("172.30.0.12", "192.168.7.12"),
      "nodes/n2/files/etc/keepalived/keepalived.conf": keepalived,
    });
    expect(found[0]?.summary).toContain(
      "goes by 192.168.7.12, while the other nodes and the virtual address 172.30.0.100 are in the network of its eth0 172.30.0.12/24",
    );
    expect(found[0]?.at).toBe("n2/host");
  });
});
