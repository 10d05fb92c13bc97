import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { twoBirds } from "./two-birds.ts";

const NAME = "calico-bgp-tor-policies-iptables";
const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [twoBirds] }).findings;

const hostBird = (table: string, neighbour: string): string => `# announces the host's own address
router id 172.30.1.11;
protocol device { scan time 10; }
protocol direct { ipv4; interface "lo"; }
protocol kernel {
  ${table}
  ipv4 { import none; export all; };
}
protocol bgp tor1 {
  local as 64512;
  neighbor ${neighbour} as 65000;
  ipv4 { import all; export all; };
}
`;
const CONF = "nodes/n1/files/etc/bird/bird.conf";
const COMMAND = { "nodes/n1/programs/bird-host.cmdline": "/usr/sbin/bird -f -u bird -g bird\n" };

describe.skipIf(!hasRecording(NAME))("two-birds", () => {
  test("is silent with Calico's BIRD alone, and with a package's file that nobody uses", () => {
    expect(findings({})).toEqual([]);
    expect(findings({ [CONF]: "protocol device {}\nprotocol kernel { ipv4 { export all; }; }\n" })).toEqual([]);
  });

  test("both write the main table and call one router", () => {
    const found = findings({ [CONF]: hostBird("", "172.30.1.1"), ...COMMAND });
    expect(found.map(({ id, severity, at }) => [id, severity, at])).toEqual([["two-birds", "warning", "n1/host"]]);
    expect(found[0]?.summary).toContain("both write the kernel's IPv4 table main, and routes of the one are deleted");
    expect(found[0]?.summary).toContain("both call 172.30.1.1");
    const lines = found[0]?.evidence.map((each) => `${each.file}:${each.line}`);
    expect(lines).toContain(`${CONF}:5`);
    expect(lines).toContain(`${CONF}:11`);
    expect(lines).toContain("nodes/n1/programs/bird.cmdline:1");
  });

  test("a table and a router of its own are no quarrel", () => {
    expect(findings({ [CONF]: hostBird("kernel table 100;", "172.30.1.254"), ...COMMAND })).toEqual([]);
  });

  test("without a process it is only unusual", () => {
    expect(findings({ [CONF]: hostBird("", "172.30.1.1") }).map((each) => each.severity)).toEqual(["info"]);
  });
});
