import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { tcpTwRecycle } from "./tcp-tw-recycle.ts";

const NAME = "flannel-vxlan-iptables";
const SYSCTL = "nodes/n2/host/sysctl.txt";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [tcpTwRecycle] }).findings;

const on: Edit = (text) => `${text}net.ipv4.tcp_tw_recycle = 1\n`;

describe.skipIf(!hasRecording(NAME))("tcp-tw-recycle", () => {
  test("kernels without the setting are clean, and so is one where it is off", () => {
    expect(findings({})).toEqual([]);
    expect(findings({ [SYSCTL]: (text) => `${text}net.ipv4.tcp_tw_recycle = 0\n` })).toEqual([]);
  });

  test("on is a warning with the line that says so", () => {
    const [found] = findings({ [SYSCTL]: on });
    expect(found).toMatchObject({ id: "tcp-tw-recycle", severity: "warning", at: "n2/host" });
    expect(found?.evidence[0]?.text).toBe("net.ipv4.tcp_tw_recycle = 1");
  });

  test("without timestamps it does nothing", () => {
    const text: Edit = (before) =>
      `${before.replace("net.ipv4.tcp_timestamps = 1", "net.ipv4.tcp_timestamps = 0")}net.ipv4.tcp_tw_recycle = 1\n`;
    expect(findings({ [SYSCTL]: text })[0]?.severity).toBe("info");
  });
});
