import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import { json, swap } from "../testing/edits.ts";
import type { Finding } from "../types.ts";
import { dnsDown } from "./dns-down.ts";
import { dnsOverload } from "./dns-overload.ts";
import { noEndpoint } from "./no-endpoint.ts";

const NAME = "flannel-vxlan-iptables";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [dnsDown, dnsOverload, noEndpoint] }).findings.filter(({ id }) =>
    id.startsWith("dns-"),
  );

interface Slices {
  items: {
    metadata: { labels: Record<string, string> };
    endpoints: { conditions: { ready: boolean; serving: boolean } }[];
  }[];
}

const notReady = json<Slices>(({ items }) => {
  for (const { metadata, endpoints } of items)
    if (metadata.labels["kubernetes.io/service-name"] === "kube-dns")
      for (const { conditions } of endpoints) Object.assign(conditions, { ready: false, serving: false });
});

interface Pods {
  items: {
    metadata: { labels?: Record<string, string> };
    status: { conditions: { type: string; status: string }[] };
  }[];
}

const podsNotReady = json<Pods>(({ items }) => {
  for (const { metadata, status } of items)
    if (metadata.labels?.["k8s-app"] === "kube-dns")
      for (const condition of status.conditions) if (condition.type === "Ready") condition.status = "False";
});

describe.skipIf(!hasRecording(NAME))("dns", () => {
  test("a healthy cluster has enough of it", () => {
    expect(findings({})).toEqual([]);
  });

  test("no server is ready", () => {
    const found = findings({
      "cluster/endpointslices.discovery.k8s.io.json": notReady,
      "cluster/pods.json": podsNotReady,
    });
    expect(found.map(({ id, at }) => [id, at])).toEqual([["dns-down", "cluster"]]);
    expect(found[0]?.summary).toContain("none of the 2 pods that it selects is ready");
    expect(found[0]?.evidence.some(({ text }) => text === "nameserver 10.96.0.10")).toBe(true);
  });

  test("pods ask an address that no Service has", () => {
    const [found] = findings({ "nodes/n1/netns/4026532761/resolv.conf": swap("10.96.0.10", "10.96.0.53") });
    expect(found).toMatchObject({ id: "dns-down", severity: "error", at: "cluster" });
    expect(found?.affects.map(({ from, to }) => [from, to])).toEqual([
      ["n1/pod/shop/client-lml8n", "10.96.0.53:53/udp"],
    ]);
  });

  test("a server that loses questions", () => {
    const stats: Edit = (text) =>
      `${text.replace(/^Udp(RcvbufErrors|InDatagrams) .*\n/gm, "")}UdpInDatagrams 100000 0.0\nUdpRcvbufErrors 2500 0.0\n`;
    const [found] = findings({ "nodes/n1/netns/4026533241/stats.txt": stats });
    expect(found).toMatchObject({
      id: "dns-overload",
      severity: "warning",
      at: "n1/pod/kube-system/coredns-5cdd69759c-sgppg",
    });
    expect(found?.summary).toContain("lost 2500 datagrams");
    expect(found?.summary).toContain("an outside name costs 8 questions");
  });
});
