import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { object, withAddress } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { hostportWormhole } from "./hostport-wormhole.ts";

const NAME = "flannel-vxlan-iptables";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [hostportWormhole] }).findings;

/** Service shop/web-external-ip on the hostPort of pod shop/edge, which runs on n2 and is not behind it. */
const samePort = object("web-external-ip", (service) => {
  const spec = service["spec"] as { ports: { port: number }[] };
  spec.ports[0]!.port = 18080;
});

describe.skipIf(!hasRecording(NAME))("hostport-wormhole", () => {
  test("is silent where no Service has the port of a hostPort", () => {
    expect(findings({})).toEqual([]);
  });

  test("warns while the address is not the node's own", () => {
    const found = findings({ "cluster/services.json": samePort });
    expect(found.map(({ severity, at }) => [severity, at])).toEqual([["warning", "n2/host"]]);
    expect(found[0]?.evidence[0]?.text).toContain("--dport 18080 -j DNAT --to-destination 10.244.1.4:8080");
  });

  test("the pod answers in place of the Service on a node that holds the address", () => {
    const [found] = findings({
      "cluster/services.json": samePort,
      ...withAddress("n2", "lo", "198.51.100.7/32"),
    });
    expect(found).toMatchObject({ id: "hostport-wormhole", severity: "error", at: "n2/host" });
    expect(found?.affects.map(({ from }) => from)).toContain("n2/host");
    expect(new Set(found?.affects.map(({ address }) => address))).toEqual(new Set(["198.51.100.7"]));
  });
});
