import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { swap } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { cniConfigBroken } from "./cni-config-broken.ts";

const NAME = "flannel-vxlan-iptables";
const FILE = "nodes/n2/files/etc/cni/net.d/10-flannel.conflist";
const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [cniConfigBroken] }).findings;

describe.skipIf(!hasRecording(NAME))("cni-config-broken", () => {
  test("is silent where every node has a configuration that works", () => {
    expect(findings({})).toEqual([]);
    // Files that come later, and folders beneath, are nothing to anybody.
    expect(
      findings({
        "nodes/n2/files/etc/cni/net.d/87-podman-bridge.conflist": "{",
        "nodes/n2/files/etc/cni/net.d/whereabouts.d/a.conf": "x",
      }),
    ).toEqual([]);
  });

  test.each<[string, Record<string, Edit>, string, string]>([
    [
      "a file that is cut off",
      { [FILE]: (text) => text.slice(0, 90) },
      "is no CNI configuration",
      "no pod gets a network there",
    ],
    ["no file", { [FILE]: null }, "n2 has no CNI configuration, where n1 has", "gets no network"],
    [
      "a plugin without a type",
      { [FILE]: swap('"type":"portmap"', '"typ":"portmap"') },
      'plugin 2 has no "type"',
      "no pod gets a network",
    ],
    [
      "portmap first",
      {
        [FILE]: (text) =>
          text.replace('"plugins":[', '"plugins":[{"type":"portmap","capabilities":{"portMappings":true}},'),
      },
      "its first plugin is portmap",
      "prevResult",
    ],
    [
      "a version that does not exist",
      { [FILE]: swap('"cniVersion":"1.0.0"', '"cniVersion":"1.9.0"') },
      "its cniVersion 1.9.0 does not exist",
      "",
    ],
    [
      "another network's file before it",
      {
        "nodes/n2/files/etc/cni/net.d/05-bridge.conflist":
          '{"cniVersion":"1.0.0","name":"lab","plugins":[{"type":"bridge","ipam":{"type":"dhcp"}}]}',
      },
      "05-bridge.conflist of n2 comes before /etc/cni/net.d/10-flannel.conflist by its name",
      "gets the network lab (bridge) and not cbr0",
    ],
    [
      "another node's range",
      { [FILE]: swap("10.244.1.0/24", "10.244.3.0/24") },
      "gives out 10.244.3.0/24, but its Node's podCIDR is 10.244.1.0/24",
      "belong to n3",
    ],
    [
      "a range beyond its subnet",
      { [FILE]: swap('"subnet":"10.244.1.0/24"', '"subnet":"10.244.1.0/24","rangeStart":"10.244.9.2"') },
      "host-local of n2 refuses its ranges",
      "outside its subnet",
    ],
  ])("%s", (_, edits, said, then) => {
    const found = findings(edits);
    expect(found.map(({ id, severity, at }) => [id, severity, at])).toEqual([
      ["cni-config-broken", "warning", "n2/host"],
    ]);
    expect(found[0]?.summary).toContain(said);
    expect(found[0]?.summary).toContain(then);
    expect(found[0]?.evidence[0]?.file).toMatch(/\/etc\/cni\/net\.d\//);
    expect(found[0]?.remedy).not.toEqual([]);
  });

  test("a pod's hostPort that nothing serves when it is made anew", () => {
    const edits = Object.fromEntries(
      ["n1", "n2", "n3"].map((node): [string, Edit] => [
        FILE.replace("n2", node),
        swap(',{"type":"portmap","capabilities":{"portMappings":true}}', ""),
      ]),
    );
    const found = findings(edits);
    expect(found.length).toBeGreaterThan(0);
    for (const each of found)
      expect([each.severity, each.summary]).toEqual([
        "warning",
        expect.stringContaining("has no plugin portmap: the hostPort of pod"),
      ]);
  });
});
