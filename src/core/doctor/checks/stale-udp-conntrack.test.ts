import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { staleUdpConntrack } from "./stale-udp-conntrack.ts";

const NAME = "flannel-vxlan-iptables";
const CONNTRACK = "nodes/n1/host/conntrack.txt";

const findings = (edit?: Edit): Finding[] =>
  doctor(altered(NAME, edit === undefined ? {} : { [CONNTRACK]: edit }), { checks: [staleUdpConntrack] }).findings;

/** An entry of the client on n1 to Service shop/web:udp, led to `backend`. */
const entry =
  (client: string, backend: string, port = 8081): Edit =>
  (text) =>
    `${text}ipv4     2 udp      17 100 src=${client} dst=10.96.26.216 sport=40000 dport=81 [UNREPLIED] src=${backend} dst=${client} sport=${port} dport=40000 mark=0 use=1\n`;

describe.skipIf(!hasRecording(NAME))("stale-udp-conntrack", () => {
  test("an entry to a pod that is gone hurts its client from this port", () => {
    const [found, ...more] = findings(entry("10.244.0.3", "10.244.3.99"));
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id: "stale-udp-conntrack", severity: "error", at: "n1/host" });
    expect(found?.evidence[0]?.file).toBe(CONNTRACK);
    expect(found?.affects).toEqual([
      {
        from: "n1/pod/shop/client-lml8n",
        to: "svc:shop/web:81/udp",
        share: null,
        proto: "udp",
        address: "10.96.26.216",
        port: 81,
        sourcePort: 40000,
      },
    ]);
    expect(found?.remedy).toEqual(["conntrack -D -p udp -s 10.244.0.3 --sport 40000 -d 10.96.26.216 --dport 81"]);
  });

  test("a client whom nobody recorded is a warning", () => {
    expect(findings(entry("10.9.9.9", "10.244.3.99")).map(({ severity }) => severity)).toEqual(["warning"]);
  });

  test("an entry that was never rewritten although there are endpoints", () => {
    const [found] = findings(entry("10.244.0.3", "10.96.26.216", 81));
    expect(found?.summary).toContain("began when it had no endpoint");
  });

  test("entries to endpoints, and to whoever has the address by now, are innocent", () => {
    expect(findings()).toEqual([]);
    expect(findings(entry("10.244.0.3", "10.244.3.2"))).toEqual([]);
    expect(findings(entry("10.244.0.3", "10.244.3.3"))).toEqual([]);
  });
});
