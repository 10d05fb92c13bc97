import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { json, swap } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { affinityDeadBackend } from "./affinity.ts";
import { healthCheckPort } from "./health-check-port.ts";
import { kubeProxyStale } from "./kube-proxy-stale.ts";
import { noLocalEndpoint } from "./no-local-endpoint.ts";

const NAME = "flannel-vxlan-iptables";
const SAVE = "nodes/n2/host/iptables-save.txt";

const findings = (edits: Record<string, Edit>, name = NAME): Finding[] =>
  doctor(altered(name, edits), { checks: [kubeProxyStale, noLocalEndpoint, affinityDeadBackend, healthCheckPort] })
    .findings;

interface Routes {
  dst: string;
  gateway?: string;
}

describe.skipIf(!hasRecording(NAME) || !hasRecording("flannel-hostgw-nftables"))(
  "kube-proxy-stale and its like",
  () => {
    test.each([NAME, "flannel-hostgw-nftables", "flannel-vxlan-dual-iptables", "calico-vxlan-policies-iptables"])(
      "%s is in step",
      (name) => {
        expect(findings({}, name)).toEqual([]);
      },
    );

    test("iptables lead to an endpoint that is gone, and lack the one in its place", () => {
      const [found, ...more] = findings({
        [SAVE]: swap("--to-destination 10.244.3.2:8080", "--to-destination 10.244.3.77:8080"),
      });
      expect(more).toEqual([]);
      expect(found).toMatchObject({ id: "kube-proxy-stale", severity: "error", at: "n2/host" });
      expect(found?.summary).toContain("10.244.3.77:8080");
      expect(found?.summary).toContain("lack ready endpoints of shop/web:http");
      const web = found?.affects.find(
        ({ from, to }) => from === "n2/pod/shop/client-4lc6q" && to === "svc:shop/web:80",
      );
      expect(web?.share).toEqual({ num: 1, den: 3 });
      expect(found?.affects.some(({ from }) => from === "n1/pod/shop/client-lml8n" && from.includes("svc:"))).toBe(
        false,
      );
    });

    test("nftables do", () => {
      const file = "nodes/n1/host/nft.json";
      const backend = /"dnat": *\{"addr": *"(10\.244\.\d+\.\d+)", *"port": *8080\}/;
      const address = backend.exec(altered("flannel-hostgw-nftables").text(file) ?? "")?.[1] ?? "";
      const [found] = findings(
        {
          [file]: (text) =>
            text.replaceAll(
              new RegExp(backend.source.replace("(10\\.244\\.\\d+\\.\\d+)", address), "g"),
              '"dnat": {"addr": "10.244.99.9", "port": 8080}',
            ),
        },
        "flannel-hostgw-nftables",
      );
      expect(found).toMatchObject({ id: "kube-proxy-stale", severity: "error", at: "n1/host" });
      expect(found?.summary).toContain("10.244.99.9:8080");
    });

    test("a backend that is there, but in no slice as yet, is newer than the objects", () => {
      expect(
        findings({ [SAVE]: swap("--to-destination 10.244.3.2:8080", "--to-destination 10.244.3.4:8080") })[0]?.summary,
      ).not.toContain("gone");
    });

    test("nothing leads to KUBE-SERVICES any more", () => {
      const [found] = findings({ [SAVE]: (text) => text.replace(/^.*-A PREROUTING .*-j KUBE-SERVICES\n/gm, "") });
      expect(found).toMatchObject({ id: "kube-proxy-stale", severity: "error", at: "n2/host" });
      expect(found?.summary).toContain("nat PREROUTING does not lead to KUBE-SERVICES");
    });

    test("the canary alone is gone", () => {
      const [found] = findings({ [SAVE]: (text) => text.replace(/(\*nat[^*]*?):KUBE-PROXY-CANARY .*\n/, "$1") });
      expect(found).toMatchObject({ id: "kube-proxy-stale", severity: "info", at: "n2/host" });
    });

    test("the fabric leads a Local Service to a node without an endpoint", () => {
      const found = findings({
        "nodes/fabric/host/route4.json": json<Routes[]>((routes) => {
          for (const route of routes) if (route.dst === "198.51.100.241") route.gateway = "172.30.0.13";
        }),
      });
      expect(found.map(({ id, severity, at }) => [id, severity, at])).toEqual([
        ["no-local-endpoint", "error", "n3/host"],
      ]);
      expect(found[0]?.affects).toMatchObject([
        { from: "outside/host", address: "198.51.100.241", share: { num: 1, den: 1 } },
      ]);
    });

    test("a filter takes the traffic and drops the load balancer's health check", () => {
      const blocked: Edit = (text) =>
        text.replace(/^(\[\d+:\d+\] -A INPUT )/m, "[0:0] -A INPUT -p tcp -m tcp --dport 32257 -j DROP\n$1");
      const [found] = findings({ [SAVE]: blocked });
      expect(found).toMatchObject({ id: "affinity-dead-backend", severity: "error", at: "n2/host" });
      expect(found?.affects).toMatchObject([{ from: "outside/host", to: "172.30.0.12:32257" }]);
    });

    test("nobody answers the health check on a node that has an endpoint", () => {
      const [found] = findings({
        "nodes/n2/host/sockets.txt": (text) => text.replace(/^tcp LISTEN .*:32257 .*\n/gm, ""),
      });
      expect(found).toMatchObject({ id: "affinity-dead-backend", severity: "warning", at: "n2/host" });
    });

    test("session affinity holds a client to an endpoint that is not ready any more", () => {
      const list =
        /-A (KUBE-SEP-\w+) .*--rsource .*--to-destination 10\.244\.3\.2:8080/.exec(
          altered(NAME).text(SAVE) ?? "",
        )?.[1] ?? "";
      const found = findings({
        "nodes/n2/host/xt_recent.txt": swap(
          `== ${list}\n`,
          `== ${list}\nsrc=203.0.113.77 ttl: 61 last_seen: 4295000000 oldest_pkt: 1 4295000000\n`,
        ),
        "cluster/endpointslices.discovery.k8s.io.json": json<{
          items: { endpoints: { addresses: string[]; conditions: object }[] | null }[];
        }>(({ items }) => {
          for (const { endpoints } of items)
            for (const { addresses, conditions } of endpoints ?? [])
              if (addresses[0] === "10.244.3.2") Object.assign(conditions, { ready: false, serving: false });
        }),
      });
      const held = found.find(({ id }) => id === "affinity-dead-backend");
      expect(held).toMatchObject({ severity: "warning", at: "n2/host" });
      expect(held?.summary).toContain("203.0.113.77");
      expect(held?.evidence[0]?.file).toBe("nodes/n2/host/xt_recent.txt");
    });
  },
);
