import { describe, expect, test } from "vitest";
import { makeSnapshot } from "../../../test/support/snapshot.ts";
import { thrown } from "../../../test/support/thrown.ts";
import { createDirectory } from "./directory.ts";
import { NotRecordedError } from "./errors.ts";
import { resolveTo, type Asked, type Destination } from "./to.ts";

const dir = createDirectory(makeSnapshot());
const CLIENT = "n1/pod/shop/client-1";

function format(d: Destination): string {
  const at =
    d.port === undefined ? d.address : d.address.includes(":") ? `[${d.address}]:${d.port}` : `${d.address}:${d.port}`;
  return `${d.proto} ${at}${d.what === "" ? "" : ` = ${d.what}`}`;
}
const to = (text: string, asked: Asked = {}, from = CLIENT): string =>
  resolveTo(dir, text, from, asked).map(format).join(", ");

describe("destinations, as a pod in namespace shop names them", () => {
  test.each<[string, string, Asked?]>([
    // Addresses.
    ["10.244.1.2:8080", "tcp 10.244.1.2:8080"],
    ["10.244.1.2", "icmp 10.244.1.2"],
    ["10.244.1.2:53/udp", "udp 10.244.1.2:53"],
    ["10.244.1.2", "udp 10.244.1.2:53", { proto: "udp", port: "53" }],
    ["[fd00::1]:80", "tcp [fd00::1]:80"],
    ["[fd00::1]", "icmp fd00::1"],
    ["fd00:0:0::1", "icmp fd00::1"],
    ["tcp://10.0.0.1:22", "tcp 10.0.0.1:22"],
    ["udp://10.0.0.1:53", "udp 10.0.0.1:53"],
    ["http://10.0.0.1/path?x=1:2", "tcp 10.0.0.1:80"],
    ["https://user@10.0.0.1", "tcp 10.0.0.1:443"],
    ["http://[fd00::1]:8080/", "tcp [fd00::1]:8080"],
    ["localhost:80", "tcp 127.0.0.1:80 = localhost"],
    ["localhost:80", "tcp [::1]:80 = localhost", { family: 6 }],
    // Services.
    ["svc:shop/web:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["svc:shop/web:http", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["svc:web:http", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["svc:shop/web:81", "udp 10.96.26.216:81 = svc shop/web:udp"],
    ["svc:shop/web", "udp 10.96.26.216:81 = svc shop/web:udp", { proto: "udp" }],
    ["svc:shop/web:80", "tcp [fd00:96::1]:80 = svc shop/web:http", { family: 6 }],
    ["svc:shop/web", "icmp 10.96.26.216 = svc shop/web", { proto: "icmp" }],
    ["svc:shop/edge", "tcp 10.96.3.3:80 = svc shop/edge"],
    ["svc:kube-system/kube-dns:53/udp", "udp 10.96.0.10:53 = svc kube-system/kube-dns:dns"],
    ["svc:kube-system/kube-dns:dns-tcp", "tcp 10.96.0.10:53 = svc kube-system/kube-dns:dns-tcp"],
    ["shop/web:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
    [
      "svc:shop/web-headless:8080",
      "tcp 10.244.1.2:8080 = svc shop/web-headless:http, tcp 10.244.0.2:8080 = svc shop/web-headless:http",
    ],
    ["svc:shop/web-headless", "tcp [fd00:244::2]:8080 = svc shop/web-headless:http", { family: 6 }],
    // Nothing translates the port of a headless Service, so any number goes.
    ["db-1.db:1234", "tcp 10.244.2.51:1234 = endpoint of svc shop/db"],
    // Pods.
    ["pod:shop/web-abc-1:8080", "tcp 10.244.0.2:8080 = pod shop/web-abc-1"],
    ["shop/web-abc-1:http", "tcp 10.244.0.2:8080 = pod shop/web-abc-1"],
    ["shop/web-abc-1", "icmp 10.244.0.2 = pod shop/web-abc-1"],
    ["n2/pod/shop/web-abc-2:8080", "tcp 10.244.1.2:8080 = pod shop/web-abc-2"],
    ["web-abc-3:8080", "tcp 10.244.2.2:8080 = pod shop/web-abc-3"],
    // Whole pod names come before Services with a slash, DNS comes first without one.
    ["shop/edge:80", "tcp 10.244.2.9:80 = pod shop/edge"],
    ["edge:80", "tcp 10.96.3.3:80 = svc shop/edge"],
    ["shop/client:9000", "tcp [fd00:244::3]:9000 = pod shop/client-1", { family: 6 }],
    // Machines.
    ["node:n2:22", "tcp 172.30.0.12:22 = node n2"],
    ["n2/host:22", "tcp 172.30.0.12:22 = node n2"],
    ["n3", "icmp 172.30.0.13 = node n3"],
    ["outside/host:9000", "tcp 203.0.113.10:9000 = outside"],
    ["n2/netns/202:80", "tcp 10.99.0.1:80"],
    // DNS.
    ["web:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["http://web/", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["web.shop:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["web.shop.svc:81/udp", "udp 10.96.26.216:81 = svc shop/web:udp"],
    ["WEB.shop.svc.cluster.local:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["web.shop.svc.cluster.local.:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
    ["kube-dns.kube-system:53/tcp", "tcp 10.96.0.10:53 = svc kube-system/kube-dns:dns-tcp"],
    ["10-244-0-2.shop.pod:8080", "tcp 10.244.0.2:8080"],
    ["fd00-244--2.shop.pod.cluster.local:80", "tcp [fd00:244::2]:80"],
    ["db-0.db.shop.svc.cluster.local:5432", "tcp 10.244.2.50:5432 = endpoint of svc shop/db"],
    ["10-244-1-2.web-headless:8080", "tcp 10.244.1.2:8080 = endpoint of svc shop/web-headless"],
    ["alias:80", "tcp 10.96.26.216:80 = svc shop/web:http"],
  ])("%s → %s", (text, expected, asked) => expect(to(text, asked)).toBe(expected));
});

describe("destinations that are wrong, unknown or not one thing", () => {
  test.each<[string, string, Asked?]>([
    [
      "svc:shop/web",
      "Service shop/web has more than one port that fits: http 80/tcp, udp 81/udp; name one, such as svc:shop/web:80/tcp",
    ],
    [
      "svc:kube-system/kube-dns:53",
      "Service kube-system/kube-dns has more than one port that fits: dns 53/udp, dns-tcp 53/tcp; name one, such as svc:kube-system/kube-dns:53/udp",
    ],
    ["svc:shop/web:8080", "Service shop/web has no port 8080; it has http 80/tcp, udp 81/udp"],
    ["svc:shop/web:80/udp", "Service shop/web has no port 80 of udp; it has http 80/tcp, udp 81/udp"],
    ["svc:shop/wbe:80", "unknown Service shop/wbe; did you mean svc:shop/web or svc:shop/db or svc:shop/web-headless?"],
    ["svc:shop/edge:80", "Service shop/edge has no IPv6 address; it has 10.96.3.3", { family: 6 }],
    [
      "svc:shop/empty:80",
      "Service shop/empty is headless and has no ready endpoint: its name leads to no address, so no packet is sent",
    ],
    [
      "svc:shop/away:5432",
      "Service shop/away is an ExternalName: it leads to db.example.com, which the recorded cluster does not serve; send to its address",
    ],
    ["svc:shop/circle:80", "Service shop/circle leads to itself through 8 external names"],
    ["shop/clinet-1:80", "unknown pod shop/clinet-1; did you mean shop/client-1?"],
    ["shop/web-abc:8080", "shop/web-abc could be 3 pods: shop/web-abc-1, shop/web-abc-2, shop/web-abc-3"],
    ["shop/web-abc-1:nope", "pod shop/web-abc-1 has no port named nope; it has http 8080/tcp"],
    [
      "shop/web-abc-1",
      '"shop/web-abc-1": tcp needs a port, such as shop/web-abc-1:8080 (it declares 8080/tcp)',
      { proto: "tcp" },
    ],
    ["10.0.0.1", '"10.0.0.1": tcp needs a port, such as 10.0.0.1:80', { proto: "tcp" }],
    ["10.0.0.1:80", '"10.0.0.1:80": ICMP has no ports', { proto: "icmp" }],
    ["10.0.0.1:80", "10.0.0.1 is no IPv6 address", { family: 6 }],
    ["10.0.0.1:0", '"10.0.0.1:0": port 0 is not between 1 and 65535'],
    ["10.0.0.1:65536", '"10.0.0.1:65536": port 65536 is not between 1 and 65535'],
    ["10.0.0.1:http", '"10.0.0.1:http": "http" is no port number'],
    ["10.0.0.1:", '"10.0.0.1:": "" is no port'],
    ["10.0.0.1:80", '"10.0.0.1:80" asks for port 80, the port given is 81', { port: "81" }],
    ["tcp://10.0.0.1:80", '"tcp://10.0.0.1:80" asks for tcp, the protocol given is udp', { proto: "udp" }],
    ["ftp://10.0.0.1", '"ftp://10.0.0.1": unknown scheme ftp; there are tcp, udp, sctp, icmp, http, https'],
    ["[10.0.0.1]:80", '"[10.0.0.1]:80": between brackets stands no IPv6 address'],
    ["fabric/host:179", "fabric has 2 addresses: 172.30.0.1, 203.0.113.1; name one"],
    [
      "kube-dns:53",
      "kube-dns does not resolve from n1/pod/shop/client-1 (search list of nodes/n1/netns/101/resolv.conf: shop.svc.cluster.local svc.cluster.local cluster.local); did you mean svc:kube-system/kube-dns?",
    ],
    [
      "db.example.com:5432",
      "db.example.com is not a name that the recorded cluster resolves (search list of nodes/n1/netns/101/resolv.conf: shop.svc.cluster.local svc.cluster.local cluster.local); send to its address",
    ],
    ["https://web", "Service shop/web has no port 443 of tcp; it has http 80/tcp, udp 81/udp"],
    ["n9:80", "unknown destination n9; did you mean n1 or n2 or n3?"],
    ["", '"" names no destination'],
    ["svc:", '"svc:" names no destination'],
  ])("%s", (text, message, asked) => {
    expect(thrown(() => to(text, asked))).toBe(`NameError: ${message}`);
  });

  test("a pod of which no address is known", () => {
    expect(() => to("ops/new-1:80")).toThrow(new NotRecordedError("no address of pod ops/new-1 is known"));
  });
});

describe("names depend on who asks", () => {
  test("a resolv.conf without a search list finds full names only", () => {
    expect(to("web.shop.svc.cluster.local:80", {}, "n1/pod/kube-system/coredns-1")).toBe(
      "tcp 10.96.26.216:80 = svc shop/web:http",
    );
    expect(() => to("web.shop:80", {}, "n1/pod/kube-system/coredns-1")).toThrow(
      "search list of nodes/n1/netns/103/resolv.conf: none",
    );
  });
  test("without a recorded resolv.conf, kubelet's usual one stands in", () => {
    expect(to("web:80", {}, "n2/pod/shop/web-abc-2")).toBe("tcp 10.96.26.216:80 = svc shop/web:http");
  });
  test("from a host, NAME.NAMESPACE is shorthand and a bare name is none", () => {
    expect(to("web.shop:80", {}, "n1/host")).toBe("tcp 10.96.26.216:80 = svc shop/web:http");
    expect(() => to("web:80", {}, "n1/host")).toThrow("web could be 3 pods");
  });
  test("below ndots the search list comes first, from ndots on the name itself", () => {
    const texts = { "nodes/n1/netns/101/resolv.conf": "search shop.svc.corp svc.corp corp\noptions ndots:2\n" };
    const corp = createDirectory(makeSnapshot(texts));
    expect(resolveTo(corp, "web.shop:80", CLIENT).map(format)).toEqual(["tcp 10.96.26.216:80 = svc shop/web:http"]);
    expect(resolveTo(corp, "web.shop.svc.corp:80", CLIENT).map(format)).toEqual([
      "tcp 10.96.26.216:80 = svc shop/web:http",
    ]);
    expect(() => resolveTo(corp, "web.shop.svc.cluster.local:80", CLIENT)).toThrow(
      "is not a name that the recorded cluster resolves",
    );
  });
});
