import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { withAddress } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { configuration } from "./configuration.ts";

const NAME = "flannel-vxlan-iptables";
const PROFILE = "nodes/n2/files/etc/NetworkManager/system-connections/eth0.nmconnection";
const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [configuration] }).findings;
const brief = (found: readonly Finding[]): string[][] => found.map(({ id, severity, at }) => [id, severity, at]);

const profile = (ipv4: string): string => `[connection]
id=eth0
uuid=1969ebe8-b753-40fb-9e29-a73b7d075737
type=ethernet
interface-name=eth0

[ipv4]
${ipv4}

[ipv6]
method=ignore
`;

const policy = (name: string, state: unknown): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      {
        apiVersion: "nmstate.io/v1",
        kind: "NodeNetworkConfigurationPolicy",
        metadata: { name },
        spec: { nodeSelector: { "kubernetes.io/hostname": "n2" }, desiredState: state },
      },
    ],
  });

describe.skipIf(!hasRecording(NAME))("configuration", () => {
  test("a profile that was applied, with guests beside its address, is nothing to tell of", () => {
    const good = profile("address1=172.30.0.12/24,172.30.0.1\nmethod=manual");
    expect(findings({ [PROFILE]: good })).toEqual([]);
    // keepalived's address, and one that a load balancer put there for a Service.
    const keepalived =
      "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {\n  172.30.0.90/24\n }\n}\n";
    const guests = {
      ...withAddress("n2", "eth0", "172.30.0.90/24"),
      [PROFILE]: good,
      "nodes/n2/files/etc/keepalived/keepalived.conf": keepalived,
    };
    expect(findings(guests)).toEqual([]);
  });

  test("a profile that was changed and not applied", () => {
    const found = findings({ [PROFILE]: profile("address1=10.10.99.99/24,10.10.99.1\nmethod=manual") });
    expect(brief(found)).toEqual([["configuration-not-applied", "warning", "n2/host"]]);
    expect(found[0]?.summary).toContain("wanted 10.10.99.99/24, is 172.30.0.12/24");
    expect(found[0]?.evidence[0]).toMatchObject({ file: PROFILE, line: 8 });
    expect(found[0]?.remedy.at(-1)).toBe(
      "nmcli connection up filename /etc/NetworkManager/system-connections/eth0.nmconnection",
    );
  });

  test("an address that is none", () => {
    const found = findings({ [PROFILE]: profile("address1=10.10.99.9924\nmethod=manual") });
    expect(brief(found)).toContainEqual(["configuration-impossible", "warning", "n2/host"]);
    expect(found[0]?.summary).toContain("Invalid IPv4 address '10.10.99.9924'");
    expect(found[0]?.evidence[0]).toMatchObject({ file: PROFILE, line: 8 });
  });

  test("a gateway that is in no network of the device is unusual", () => {
    const found = findings({ [PROFILE]: profile("address1=10.10.99.99/24,192.168.111.111\nmethod=manual") });
    expect(brief(found)).toContainEqual(["configuration-impossible", "info", "n2/host"]);
  });

  test("a policy that the node does not fulfil, and one that nobody can", () => {
    const bond = {
      interfaces: [
        {
          name: "bond0",
          type: "bond",
          state: "up",
          "link-aggregation": { mode: "active-backup", port: ["eth1", "eth2"] },
        },
      ],
    };
    const missing = findings({ "cluster/nodenetworkconfigurationpolicies.nmstate.io.json": policy("bond0", bond) });
    expect(brief(missing)).toEqual([["configuration-not-applied", "warning", "n2/host"]]);
    expect(missing[0]?.summary).toContain("device bond0: wanted bond, is not there");
    const mad = {
      interfaces: [
        { name: "eth0", state: "up", ipv4: { enabled: true, address: [{ ip: "10.10.99.9924", "prefix-length": 24 }] } },
      ],
    };
    const found = findings({ "cluster/nodenetworkconfigurationpolicies.nmstate.io.json": policy("mad", mad) });
    expect(brief(found)).toContainEqual(["configuration-impossible", "warning", "cluster"]);
  });

  test("a keepalived.conf that keepalived refuses", () => {
    const found = findings({
      "nodes/n1/files/etc/keepalived/keepalived.conf": "vrrp_instance A {\n interface eth0\n virtual_ipaddress {\n",
    });
    expect(brief(found)).toEqual([["configuration-impossible", "warning", "n1/host"]]);
    expect(found[0]?.summary).toContain("this { is never closed");
  });
});
