import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { ingressUnanswered } from "./ingress-unanswered.ts";

const NAME = "flannel-vxlan-iptables";

/** Pod shop/edge on n2 as the controller, behind Service shop/edge-lb; it sends to Service shop/web. */
const INGRESS = JSON.stringify({
  kind: "List",
  items: [
    {
      kind: "Ingress",
      metadata: { namespace: "shop", name: "site" },
      spec: {
        rules: [{ http: { paths: [{ path: "/", backend: { service: { name: "web", port: { number: 80 } } } }] } }],
      },
      status: { loadBalancer: { ingress: [{ ip: "198.51.100.241" }] } },
    },
  ],
});

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, { "cluster/ingresses.networking.k8s.io.json": INGRESS, ...edits }), {
    checks: [ingressUnanswered],
  }).findings;

/** SYNs of the controller to the web pod on n3. */
const syns =
  (left: number): Edit =>
  (text) =>
    text +
    [1, 2, 3]
      .map(
        (i) =>
          `ipv4     2 tcp      6 ${left} SYN_SENT src=10.244.1.4 dst=10.244.3.2 sport=5000${i} dport=8080 [UNREPLIED] src=10.244.3.2 dst=10.244.1.4 sport=8080 dport=5000${i} mark=0 use=1\n`,
      )
      .join("");

describe.skipIf(!hasRecording(NAME))("ingress-unanswered", () => {
  test("answers come back in a healthy cluster", () => {
    expect(findings({})).toEqual([]);
  });

  test("the answer is dropped on its way back to the controller", () => {
    // A filter that knows no connections, on the node of one backend.
    const [found] = findings({
      "nodes/n3/host/iptables-save.txt": (text) =>
        text.replace(/^(\[\d+:\d+\] -A FORWARD )/m, "[0:0] -A FORWARD -s 10.244.3.2/32 -d 10.244.1.4/32 -j DROP\n$1"),
    });
    expect(found).toMatchObject({ id: "ingress-unanswered", severity: "error", at: "n2/pod/shop/edge" });
    expect(found?.affects).toMatchObject([
      { from: "n2/pod/shop/edge", to: "svc:shop/web:80", share: { num: 1, den: 3 } },
    ]);
    expect(found?.evidence[0]?.text).toContain("-s 10.244.3.2/32 -d 10.244.1.4/32 -j DROP");
  });

  test("SYNs that nobody answers, although the path is open", () => {
    const [found] = findings({ "nodes/n2/host/conntrack.txt": syns(110) });
    expect(found).toMatchObject({ id: "ingress-unanswered", severity: "warning", at: "n2/host" });
    expect(found?.summary).toContain("3 SYNs of the ingress controller shop/edge to 10.244.3.2:8080");
    expect(found?.evidence).toHaveLength(3);
  });

  test("SYNs that have only just left", () => {
    expect(findings({ "nodes/n2/host/conntrack.txt": syns(119) })).toEqual([]);
  });
});
