import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { object } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { policyBlocks } from "./policy-blocks.ts";

const NAME = "calico-vxlan-policies-iptables";
const POLICIES = "cluster/networkpolicies.networking.k8s.io.json";
const NODES = ["n1", "n2", "n3"];

const findings = (edits: Record<string, Edit>): { findings: Finding[]; unexplained: number } => {
  const found = doctor(altered(NAME, edits), { checks: [policyBlocks] });
  return { findings: found.findings, unexplained: found.unknown.filter(({ id }) => id === "walk").length };
};

/** What Felix would have on every node. */
const everywhere = (edit: Edit): Record<string, Edit> =>
  Object.fromEntries(NODES.map((node) => [`nodes/${node}/host/iptables-save.txt`, edit]));

interface Spec {
  ingress?: { from?: unknown[]; ports?: unknown[] }[];
  egress?: { to?: unknown[]; ports?: unknown[] }[];
}

describe.skipIf(!hasRecording(NAME))("policy-blocks", () => {
  test("policies that do what they say explain what they forbid, and are no fault", () => {
    const { findings: found, unexplained } = findings({});
    expect(unexplained).toBe(0);
    expect(new Set(found.map(({ severity }) => severity))).toEqual(new Set(["info"]));
    expect(found.map(({ summary }) => summary).join()).toContain(
      "shop/default-deny-ingress, shop/web-from-clients admit to shop/web",
    );
  });

  test("an egress policy that forgets DNS", () => {
    // Without the rule for port 53 of kube-system, in the object and on the pod's node.
    const { findings: found, unexplained } = findings({
      [POLICIES]: object("ops-client-egress", (policy) => (policy["spec"] as Spec).egress!.shift()),
      "nodes/n3/host/iptables-save.txt": (text) => text.replace(/^.*-A cali-po-\S+ .*--dports 53 .*\n/gm, ""),
    });
    expect(unexplained).toBe(0);
    const [error, ...more] = found.filter(({ severity }) => severity === "error");
    expect(more).toEqual([]);
    expect(error).toMatchObject({ id: "policy-blocks", at: "cluster" });
    expect(error?.summary).toContain("NetworkPolicy ops/ops-client-egress lets ops/client-");
    expect(new Set(error?.affects.map(({ to }) => to))).toEqual(
      new Set(["svc:kube-system/kube-dns:53/udp", "svc:kube-system/kube-dns:53"]),
    );
    expect(error?.evidence.some(({ text }) => text === "nameserver 10.96.0.10")).toBe(true);
    expect(error?.remedy[0]).toContain('"k8s-app":"kube-dns"');
  });

  test("a rule with the Service's port instead of the pod's", () => {
    const { findings: found } = findings({
      [POLICIES]: object("web-from-clients", (policy) => {
        (policy["spec"] as Spec).ingress![0]!.ports = [{ protocol: "TCP", port: 80 }];
      }),
      // Such a rule takes nothing that is sent to the pods.
      ...everywhere((text) => text.replace(/^.*-A cali-pi-\S+ -p tcp .*cali40n:.*\n/gm, "")),
    });
    const error = found.find(({ severity }) => severity === "error");
    expect(error?.summary).toContain("NetworkPolicy shop/web-from-clients names port 80");
    expect(error?.summary).toContain("8080 (http)");
    expect(error?.affects.some(({ from, to }) => from.includes("/pod/shop/client-") && to === "svc:shop/web:80")).toBe(
      true,
    );
  });

  test("says what is missing to tell", () => {
    const { unknown } = doctor(altered(NAME, { [POLICIES]: null }), { checks: [policyBlocks] });
    expect(unknown.find(({ id }) => id === "policy-blocks")?.why).toContain("was not recorded");
  });
});
