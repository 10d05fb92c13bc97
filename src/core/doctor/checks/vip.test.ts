import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { withAddress } from "../testing/edits.ts";
import type { Finding, Findings } from "../types.ts";
import { vip } from "./vip.ts";

const NAME = "flannel-vxlan-iptables";
const VIP = "172.30.0.100";

const keepalived = (more: { id?: number; vip?: string; peers?: string[] } = {}): string => `vrrp_script chk_ocp_lb {
    script "/etc/keepalived/chk_ocp_script.sh"
    interval 2
    weight 20
}
vrrp_instance kw_API {
    state BACKUP
    interface eth0
    virtual_router_id ${more.id ?? 51}
    priority 40
    advert_int 1
${(more.peers ?? []).length === 0 ? "" : `    unicast_peer {\n${more.peers!.map((peer) => `        ${peer}\n`).join("")}    }\n`}    virtual_ipaddress {
        ${more.vip ?? VIP}/32
    }
    track_script {
        chk_ocp_lb
    }
}
`;
const haproxy = `defaults
  mode tcp
frontend main
  bind :::9100 v4v6
  default_backend masters
backend masters
  server n1 172.30.0.11:9100 check
  server n2 172.30.0.12:9100 check
`;
const conf = (node: string, text: string): Record<string, Edit> => ({
  [`nodes/${node}/files/etc/keepalived/keepalived.conf`]: text,
});
const both = { ...conf("n1", keepalived()), ...conf("n2", keepalived()) };
const examine = (edits: Record<string, Edit>): Findings => doctor(altered(NAME, edits), { checks: [vip] });
const findings = (edits: Record<string, Edit>): Finding[] => examine(edits).findings;
const brief = (found: readonly Finding[]): string[][] => found.map(({ id, severity, at }) => [id, severity, at]);

describe.skipIf(!hasRecording(NAME))("floating addresses", () => {
  test("one machine holds it and its load balancer listens: nothing to tell of", () => {
    const served = { "nodes/n1/files/etc/haproxy/haproxy.cfg": haproxy };
    expect(findings({ ...both, ...served, ...withAddress("n1", "eth0", `${VIP}/32`) })).toEqual([]);
  });

  test("nobody holds it, and whoever asks is hurt", () => {
    const found = findings(both);
    expect(brief(found)).toEqual([["vip-down", "error", "cluster"]]);
    expect(found[0]?.evidence[0]).toMatchObject({ file: "nodes/n1/files/etc/keepalived/keepalived.conf", line: 13 });
    expect(new Set(found[0]?.affects.map((each) => each.address))).toEqual(new Set([VIP]));
    expect(found[0]?.affects.map((each) => each.from)).toContain("outside/host");
  });

  test("nobody of those recorded holds it, but a peer that was not may", () => {
    const { findings: found, unknown } = examine(conf("n1", keepalived({ peers: ["172.30.0.200"] })));
    expect(found).toEqual([]);
    expect(unknown.filter((each) => each.id === "vip-down")).toEqual([
      {
        id: "vip-down",
        at: "cluster",
        why: `no recorded machine holds the virtual address ${VIP}; 172.30.0.200 may, and was not recorded`,
      },
    ]);
  });

  test("two hold it because they do not understand each other", () => {
    const found = findings({
      ...conf("n1", keepalived()),
      ...conf("n2", keepalived({ id: 52 })),
      ...withAddress("n1", "eth0", `${VIP}/32`),
      ...withAddress("n2", "eth0", `${VIP}/32`),
    });
    expect(found.map(({ id, at }) => [id, at])).toEqual([["vip-duplicate", "n2/host"]]);
    expect(found[0]?.summary).toContain("virtual_router_id is 51 and 52");
    expect(found[0]?.evidence.map((each) => each.file)).toEqual(
      expect.arrayContaining(["nodes/n1/host/addr.json", "nodes/n2/host/addr.json"]),
    );
  });

  test("its holder's HAProxy does not listen", () => {
    const found = findings({
      ...both,
      "nodes/n1/files/etc/haproxy/haproxy.cfg": swapPort(haproxy),
      ...withAddress("n1", "eth0", `${VIP}/32`),
    });
    expect(brief(found)).toEqual([["vip-down", "error", "n1/host"]]);
    expect(found[0]?.summary).toContain("its HAProxy does not listen");
    expect(found[0]?.affects[0]?.port).toBe(6443);
  });

  test("it is in no network of the machine that holds it, nor of the other", () => {
    const far = {
      ...conf("n1", keepalived({ vip: "192.168.77.100" })),
      ...conf("n2", keepalived({ vip: "192.168.77.100" })),
    };
    const found = findings({ ...far, ...withAddress("n1", "eth0", "192.168.77.100/32") });
    expect(brief(found)).toEqual([["vip-outside-segment", "error", "cluster"]]);
    expect(found[0]?.summary).toContain("172.30.0.11/24 on eth0");
  });

  test("one that may take it is on another segment", () => {
    const found = findings({
      ...both,
      ...withAddress("n1", "eth0", `${VIP}/32`),
      "fabric.json": moved,
    });
    expect(brief(found)).toEqual([["vip-outside-segment", "warning", "n2/host"]]);
    expect(found[0]?.summary).toContain("when it becomes master, nobody finds the address");
  });
});

function swapPort(text: string): string {
  return text.replaceAll("9100", "6443");
}

/** n2's device hangs on a segment of its own. */
function moved(text: string): string {
  const fabric = JSON.parse(text) as { segments: { name: string; attached: [string, string][] }[] };
  for (const segment of fabric.segments) segment.attached = segment.attached.filter(([node]) => node !== "n2");
  fabric.segments.push({ name: "rack2", attached: [["n2", "eth0"]] });
  return JSON.stringify(fabric);
}
