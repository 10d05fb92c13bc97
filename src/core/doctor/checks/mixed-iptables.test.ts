import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { mixedIptables } from "./mixed-iptables.ts";

const NAME = "flannel-vxlan-iptables";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [mixedIptables] }).findings;

const legacy = (rules: string): Record<string, Edit> => ({
  "nodes/n1/host/iptables-legacy-save.txt": `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n${rules}COMMIT\n`,
});

describe.skipIf(!hasRecording(NAME))("mixed-iptables", () => {
  test("an empty table is no rule", () => {
    expect(findings({})).toEqual([]);
    expect(findings(legacy(""))).toEqual([]);
  });

  test("a hidden drop hurts whom it drops", () => {
    const [found] = findings(legacy("[0:0] -A FORWARD -d 10.244.1.2/32 -j DROP\n"));
    expect(found).toMatchObject({ id: "mixed-iptables", severity: "error", at: "n1/host" });
    expect(found?.affects.map(({ from }) => from)).toContain("n1/pod/shop/client-lml8n");
    expect(found?.remedy).toContain("iptables-legacy -t filter -D FORWARD -d 10.244.1.2/32 -j DROP");
  });

  test("one that nobody meets is a warning, and accepting harms nobody", () => {
    expect(findings(legacy("[0:0] -A FORWARD -d 192.0.2.9/32 -j DROP\n"))[0]?.severity).toBe("warning");
    expect(findings(legacy("[0:0] -A FORWARD -d 192.0.2.9/32 -j ACCEPT\n"))[0]?.severity).toBe("info");
  });

  test("KUBE-FIREWALL without its mark match drops everything", () => {
    const bare: Edit = (text) =>
      text.replace(
        /^(\[\d+:\d+\] )?-A KUBE-FIREWALL .*$/m,
        '-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -j DROP',
      );
    const [found] = findings({ "nodes/n1/host/iptables-save.txt": bare });
    expect(found).toMatchObject({ id: "mixed-iptables", severity: "error", at: "n1/host" });
    expect(found?.evidence[0]?.text).toContain("-A KUBE-FIREWALL");
    expect(found?.affects.map(({ from }) => from)).toContain("n1/host");
  });
});
