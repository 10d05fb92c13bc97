import { describe, expect, test } from "vitest";
import { makeService, makeSnapshot } from "../../../../test/support/snapshot.ts";
import type { Cluster } from "../../model/cluster.ts";
import { parseIp } from "../../model/address.ts";
import { clusterNames } from "./cluster-names.ts";
import { kubeadmCorefile, parseCorefile } from "./corefile.ts";
import { CoreDns } from "./core-dns.ts";
import { clusterDns, lookUpInCluster } from "./cost.ts";
import { candidates } from "./lookup-order.ts";
import { reverseName, type RecordType } from "./records.ts";
import { parseResolvConf, resolvConfNotes } from "./resolv-conf.ts";

const source = { file: "cluster/test.json", line: 1 };

/** A cluster shaped as that of CoreDNS's own tests (plugin/kubernetes/handler_test.go). */
function testCluster(): Cluster {
  const base = makeSnapshot().cluster;
  const slice = (
    service: string,
    addresses: [string, string | null][],
    ports: string[],
  ): Cluster["endpointSlices"][number] => ({
    namespace: "testns",
    name: `${service}-${addresses[0]?.[0].includes(":") ? 6 : 4}`,
    labels: {},
    annotations: {},
    source,
    service,
    addressType: addresses[0]?.[0].includes(":") ? "IPv6" : "IPv4",
    ports: ports.map((name) => ({ name, port: 80, protocol: "TCP" })),
    endpoints: addresses.map(([address, hostname]) => ({
      addresses: [address],
      ready: true,
      serving: true,
      terminating: false,
      node: null,
      hostname,
      pod: null,
    })),
  });
  const service = (name: string, ips: string[], more = {}): Cluster["services"][number] =>
    makeService("testns", name, ips, ["http/80"], more);
  return {
    ...base,
    raw: new Map([["namespaces", [{ metadata: { name: "testns" } }]]]),
    services: [
      service("svc1", ["10.0.0.1"]),
      service("svc6", ["1234:abcd::1"]),
      service("svc-dual-stack", ["10.0.0.3", "10::3"]),
      service("hdls1", [], { headless: true }),
      { ...service("hdlsprtls", [], { headless: true }), ports: [] },
      { ...service("external", []), type: "ExternalName", externalName: "ext.interwebs.test" },
      { ...service("external-to-service", []), type: "ExternalName", externalName: "svc1.testns.svc.cluster.local." },
      { ...service("external-ip", []), type: "ExternalName", externalName: "192.0.2.7" },
    ],
    endpointSlices: [
      slice("svc1", [["172.0.0.1", null]], ["http"]),
      slice(
        "hdls1",
        [
          ["172.0.0.2", null],
          ["172.0.0.3", null],
          ["172.0.0.4", "dup-name"],
          ["172.0.0.5", "dup-name"],
        ],
        ["http"],
      ),
      slice(
        "hdls1",
        [
          ["5678:abcd::1", null],
          ["5678:abcd::2", null],
        ],
        ["http"],
      ),
      slice("hdlsprtls", [["172.0.0.20", null]], []),
    ],
  };
}

const dns = clusterDns(testCluster(), "cluster.local");
const Z = "cluster.local";

/** A reply in short: NXDOMAIN, NODATA, or its answers. */
function short(name: string, type: RecordType, server = dns): string {
  const reply = server.ask(name, type);
  if (reply.kind !== "reply") return reply.kind;
  if (reply.rcode === "NXDOMAIN") return "NXDOMAIN";
  const shown = reply.answers.map((r) =>
    r.type === "SRV"
      ? `${r.priority} ${r.weight} ${r.port} ${r.target}`
      : r.type === "TXT"
        ? r.text
        : "address" in r
          ? r.address
          : `${r.type} ${r.target}`,
  );
  return shown.length === 0 ? "NODATA" : shown.join(", ");
}

describe("CoreDNS's kubernetes plugin, its own test cases", () => {
  const cases: [string, RecordType, string][] = [
    [`svc1.testns.svc.${Z}.`, "A", "10.0.0.1"],
    [`SVC1.testns.svc.${Z}`, "A", "10.0.0.1"],
    [`svc1.testns.svc.${Z}`, "SRV", `0 100 80 svc1.testns.svc.${Z}`],
    [`_http._tcp.svc1.testns.svc.${Z}`, "SRV", `0 100 80 svc1.testns.svc.${Z}`],
    [`_http._udp.svc1.testns.svc.${Z}`, "SRV", "NXDOMAIN"],
    [`svc-dual-stack.testns.svc.${Z}`, "A", "10.0.0.3"],
    [`svc-dual-stack.testns.svc.${Z}`, "AAAA", "10::3"],
    [`svc-dual-stack.testns.svc.${Z}`, "SRV", `0 50 80 svc-dual-stack.testns.svc.${Z}`],
    [`hdls1.testns.svc.${Z}`, "A", "172.0.0.2, 172.0.0.3, 172.0.0.4, 172.0.0.5"],
    [`hdls1.testns.svc.${Z}`, "AAAA", "5678:abcd::1, 5678:abcd::2"],
    [`hdlsprtls.testns.svc.${Z}`, "A", "172.0.0.20"],
    [`hdlsprtls.testns.svc.${Z}`, "SRV", "NODATA"],
    [`172-0-0-20.hdlsprtls.testns.svc.${Z}`, "A", "172.0.0.20"],
    [`172-0-0-2.hdls1.testns.svc.${Z}`, "A", "172.0.0.2"],
    [`dup-name.hdls1.testns.svc.${Z}`, "A", "172.0.0.4, 172.0.0.5"],
    [`5678-abcd--2.hdls1.testns.svc.${Z}`, "AAAA", "5678:abcd::2"],
    [
      `_http._tcp.hdls1.testns.svc.${Z}`,
      "SRV",
      ["172-0-0-2", "172-0-0-3", "dup-name", "5678-abcd--1", "5678-abcd--2"]
        .map((label) => `0 16 80 ${label}.hdls1.testns.svc.${Z}`)
        .join(", "),
    ],
    [`external.testns.svc.${Z}`, "CNAME", "CNAME ext.interwebs.test"],
    [`external-to-service.testns.svc.${Z}`, "A", `CNAME svc1.testns.svc.${Z}, 10.0.0.1`],
    [`external-ip.testns.svc.${Z}`, "A", "NXDOMAIN"],
    [`endpoint.external.testns.svc.${Z}`, "CNAME", "NXDOMAIN"],
    [`svc1.testns.svc.${Z}`, "AAAA", "NODATA"],
    [`svc0.testns.svc.${Z}`, "A", "NXDOMAIN"],
    [`svc0.testns.svc.${Z}`, "AAAA", "NXDOMAIN"],
    [`svc0.svc-nons.svc.${Z}`, "A", "NXDOMAIN"],
    [`bogusendpoint.hdls1.testns.svc.${Z}`, "A", "NXDOMAIN"],
    [`a.b.c.svc1.testns.svc.${Z}`, "A", "NXDOMAIN"],
    [`dns-version.${Z}`, "TXT", "1.1.0"],
    [Z, "A", "NODATA"],
    [`svc.${Z}`, "A", "NODATA"],
    [`pod.${Z}`, "A", "NODATA"],
    [`testns.svc.${Z}`, "A", "NODATA"],
    [`foo.svc.${Z}`, "NS", "NXDOMAIN"],
    [`foo.${Z}`, "NS", "NXDOMAIN"],
    [`10-240-0-1.testns.pod.${Z}`, "A", "10.240.0.1"],
    [`10-240-0-1.testns.pod.${Z}`, "AAAA", "NODATA"],
    [`10-240-0-1.nope.pod.${Z}`, "A", "NXDOMAIN"],
    [`blah.testns.pod.${Z}`, "A", "NXDOMAIN"],
    ["1.0.0.10.in-addr.arpa", "PTR", `PTR svc1.testns.svc.${Z}`],
    ["4.0.0.172.in-addr.arpa", "PTR", `PTR dup-name.hdls1.testns.svc.${Z}`],
    ["2.0.0.172.in-addr.arpa", "PTR", "forward"],
    ["example.com", "A", "forward"],
  ];
  test.each(cases)("%s %s: %s", (name, type, expected) => expect(short(name, type)).toBe(expected));

  test("a PTR's name of both families", () => {
    expect(short(reverseName(parseIp("1234:abcd::1")!), "PTR")).toBe(`PTR svc6.testns.svc.${Z}`);
    expect(reverseName(parseIp("10.0.0.1")!)).toBe("1.0.0.10.in-addr.arpa");
  });

  test("what the Corefile says decides: pods verified, no fallthrough, no forward, a port and a zone of its own", () => {
    const text = `.:53 {\n errors\n kubernetes cluster.local in-addr.arpa { # reverse too\n pods verified\n endpoint_pod_names\n }\n}\nexample.org:5353 { forward . 192.0.2.1 }\n`;
    const blocks = parseCorefile(text);
    expect(blocks.map((block) => [block.zones, block.port])).toEqual([
      [["."], 53],
      [["example.org"], 5353],
    ]);
    const server = new CoreDns(clusterNames(testCluster()), blocks);
    expect(short(`10-240-0-1.testns.pod.${Z}`, "A", server)).toBe("NXDOMAIN");
    expect(short("2.0.0.172.in-addr.arpa", "PTR", server)).toBe("NXDOMAIN");
    expect(short("example.com", "A", server)).toBe("refused");
    expect(short("www.example.org", "A", server)).toBe("forward");
    expect(parseCorefile(kubeadmCorefile("k8s.test"))[0]!.kubernetes).toEqual({
      zones: ["k8s.test", "in-addr.arpa", "ip6.arpa"],
      pods: "insecure",
      endpointPodNames: false,
      namespaces: null,
      ttl: 30,
      ignoreEmptyService: false,
      fallthrough: ["in-addr.arpa", "ip6.arpa"],
    });
  });
});

describe("the order of questions", () => {
  const conf = parseResolvConf(
    "search testns.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\nnameserver 192.0.2.2\noptions ndots:5\n",
  );

  test("candidates of glibc and of musl", () => {
    const search = conf.search.map((domain) => `www.example.org.${domain}`);
    expect(candidates("www.example.org", conf, "glibc")).toEqual([...search, "www.example.org"]);
    expect(candidates("www.example.org", conf, "musl")).toEqual([...search, "www.example.org"]);
    expect(candidates("www.example.org.", conf, "glibc")).toEqual(["www.example.org"]);
    expect(candidates("a.b.c.d.e.f", conf, "glibc")[0]).toBe("a.b.c.d.e.f");
    expect(candidates("a.b.c.d.e.f", conf, "glibc")).toHaveLength(5);
    expect(candidates("a.b.c.d.e.f", conf, "musl")).toEqual(["a.b.c.d.e.f"]);
  });

  test("a Service's short name costs two questions, a name outside ten", () => {
    const near = lookUpInCluster(dns, "svc1", conf, "glibc");
    expect([near.found, near.cost]).toEqual([`svc1.testns.svc.${Z}`, { queries: 2, packets: 2, wasted: 0 }]);
    const far = lookUpInCluster(dns, "www.example.org", conf, "glibc", (name) =>
      name === "www.example.org" ? "answer" : "nxdomain",
    );
    expect([far.found, far.cost]).toEqual(["www.example.org", { queries: 10, packets: 10, wasted: 8 }]);
    expect(lookUpInCluster(dns, "www.example.org.", conf, "glibc").cost.queries).toBe(2);
    expect(
      lookUpInCluster(dns, "www.example.org", conf, "musl", (name) =>
        name === "www.example.org" ? "answer" : "nxdomain",
      ).cost.packets,
    ).toBe(20);
  });

  test("an empty answer ends musl's search and not glibc's", () => {
    const only = parseResolvConf("search svc.cluster.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n");
    const outside = (name: string) => (name === "testns.example.com" ? "answer" : "nxdomain") as "answer" | "nxdomain";
    expect(lookUpInCluster(dns, "testns", only, "glibc", outside).found).toBe("testns.example.com");
    const musl = lookUpInCluster(dns, "testns", only, "musl", outside);
    expect([musl.found, musl.result, musl.queries.length]).toEqual([null, "no-data", 2]);
  });

  test("what a resolver ignores is told with its line", () => {
    const text =
      "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\noptions ndots:20\n";
    expect(resolvConfNotes(text, "f").map((note) => note.source.line)).toEqual([4, 5]);
  });
});
