import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { conntrackFull } from "./conntrack-full.ts";
import { snatPorts } from "./snat-ports.ts";

const NAME = "flannel-vxlan-iptables";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [conntrackFull, snatPorts] }).findings;

const counted =
  (count: number, max: number): Edit =>
  (text) =>
    text
      .replace(/nf_conntrack_count = \d+/, `nf_conntrack_count = ${count}`)
      .replace(/nf_conntrack_max = \d+/, `nf_conntrack_max = ${max}`);

/** Connections of pods to one server outside, masqueraded with ports from 40000 on. */
const masqueraded =
  (count: number): Edit =>
  (text) =>
    text +
    Array.from(
      { length: count },
      (_, i) =>
        `ipv4     2 tcp      6 80 TIME_WAIT src=10.244.0.3 dst=203.0.113.10 sport=${1024 + i} dport=80 src=203.0.113.10 dst=172.30.0.11 sport=80 dport=${40000 + i} [ASSURED] mark=0 use=1\n`,
    ).join("");

const ranged: Edit = (text) =>
  text.replace("-j MASQUERADE --random-fully", "-p tcp -j MASQUERADE --to-ports 40000-40019 --random-fully");

describe.skipIf(!hasRecording(NAME))("conntrack-full, snat-ports-exhausted", () => {
  test("a table with room is no finding", () => {
    expect(findings({})).toEqual([]);
    expect(findings({ "nodes/n2/host/sysctl.txt": counted(600, 1000) })).toEqual([]);
  });

  test("nearly full is a warning, full hurts in a way that nobody can foretell", () => {
    expect(
      findings({ "nodes/n2/host/sysctl.txt": counted(950, 1000) }).map(({ id, severity, at }) => [id, severity, at]),
    ).toEqual([["conntrack-full", "warning", "n2/host"]]);
    const [full] = findings({
      "nodes/n2/host/sysctl.txt": counted(1000, 1000),
      "nodes/n2/host/conntrack-stats.txt":
        "cpu=0   \tfound=6 invalid=0 insert=0 insert_failed=0 drop=7 early_drop=3 error=0 search_restart=0\n",
    });
    expect(full?.severity).toBe("error");
    expect(full?.summary).toContain("drop 7, early_drop 3");
    expect(new Set(full?.affects.map(({ share }) => share))).toEqual(new Set([null]));
    expect(new Set(full?.affects.map(({ from }) => from.split("/")[0]))).toEqual(new Set(["n2"]));
  });

  test("the ports of a rule's range are taken", () => {
    const edits = (count: number): Record<string, Edit> => ({
      "nodes/n1/host/conntrack.txt": masqueraded(count),
      "nodes/n1/host/iptables-save.txt": ranged,
    });
    expect(findings(edits(10))).toEqual([]);
    const [found] = findings(edits(20));
    expect(found).toMatchObject({ id: "snat-ports-exhausted", severity: "warning", at: "n1/host" });
    expect(found?.summary).toContain("20 of 20 source ports of 172.30.0.11 are in use for TCP to 203.0.113.10:80");
    expect(found?.evidence[0]?.text).toContain("--to-ports 40000-40019");
  });

  test("the kernel's own range is large", () => {
    expect(findings({ "nodes/n1/host/conntrack.txt": masqueraded(2000) })).toEqual([]);
  });
});
