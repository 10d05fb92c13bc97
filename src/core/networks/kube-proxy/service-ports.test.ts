import { describe, expect, test } from "vitest";
import { kubeProxyConfig } from "./config.ts";
import { servicePorts, type ServicePort } from "./service-ports.ts";
import { node, service, siteWith, slice, type TestObjects } from "./testing/site.ts";

function ports(objects: TestObjects, family: 4 | 6 = 4, at = 0, yaml = "{}"): ServicePort[] {
  const site = siteWith(yaml, objects);
  const machine = site.machines[at] ?? site.machines[0];
  const config = kubeProxyConfig(site, machine);
  return config === null ? [] : servicePorts(site, machine, family, config);
}

const texts = (endpoints: readonly { text: string }[] | undefined): string[] => (endpoints ?? []).map((e) => e.text);

describe("which Service ports there are", () => {
  test("by family, sorted by name, without those that are another's or nobody's", () => {
    const both = { clusterIPs: ["fd00:96::1", "10.96.0.9"], ipFamilies: ["IPv6", "IPv4"] };
    const services = [
      service("z", { clusterIP: "10.96.0.3", ports: [{ port: 80 }] }),
      service("web", {
        ...both,
        ports: [
          { name: "b", port: 81, protocol: "UDP" },
          { name: "a", port: 80 },
        ],
      }),
      service("headless", { clusterIP: "None", ports: [{ port: 80 }] }),
      service("away", {
        clusterIP: "10.96.0.4",
        type: "ExternalName",
        externalName: "x.example",
        ports: [{ port: 80 }],
      }),
      service(
        "meshed",
        { clusterIP: "10.96.0.5", ports: [{ port: 80 }] },
        { labels: { "service.kubernetes.io/service-proxy-name": "mesh" } },
      ),
    ];
    expect(ports({ services }).map((p) => `${p.name} ${p.clusterIP}:${p.port}/${p.protocol}`)).toEqual([
      "shop/web:a 10.96.0.9:80/TCP",
      "shop/web:b 10.96.0.9:81/UDP",
      "shop/z 10.96.0.3:80/TCP",
    ]);
    expect(ports({ services }, 6).map((p) => `${p.name} ${p.clusterIP}`)).toEqual([
      "shop/web:a fd00:96::1",
      "shop/web:b fd00:96::1",
    ]);
  });

  test("addresses of outside, who may use them, affinity, health check", () => {
    const spec = {
      type: "LoadBalancer",
      clusterIP: "10.96.0.1",
      externalIPs: ["198.51.100.1", "2001:db8::1"],
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32000,
      loadBalancerSourceRanges: [" 203.0.113.9/28 ", "2001:db8::/32"],
      sessionAffinity: "ClientIP",
      ports: [{ port: 80, nodePort: 30080 }],
    };
    const ingress = [
      { ip: "198.51.100.240", ipMode: "VIP" },
      { ip: "198.51.100.241", ipMode: "Proxy" },
      { ip: "198.51.100.242" },
      { hostname: "lb.example" },
    ];
    expect(ports({ services: [service("lb", spec, { status: { loadBalancer: { ingress } } })] })[0]).toMatchObject({
      nodePort: 30080,
      externalIPs: ["198.51.100.1"],
      loadBalancerIPs: ["198.51.100.240", "198.51.100.242"],
      sourceRanges: ["203.0.113.0/28"],
      affinitySeconds: 10800,
      externalLocal: true,
      healthCheckNodePort: 32000,
      usesClusterEndpoints: true,
      usesLocalEndpoints: true,
    });
  });

  test("source ranges of which one is everything are none", () => {
    const status = { loadBalancer: { ingress: [{ ip: "198.51.100.240" }, { ip: "2001:db8:51::240" }] } };
    const rangesOf = (v: 4 | 6, ...loadBalancerSourceRanges: string[]) => {
      const clusterIPs = ["10.96.0.1", "fd00:96::1"];
      const families = { clusterIPs, ipFamilies: ["IPv4", "IPv6"] };
      const spec = { type: "LoadBalancer", ...families, loadBalancerSourceRanges, ports: [{ port: 80 }] };
      return ports({ services: [service("lb", spec, { status })] }, v)[0]?.sourceRanges;
    };
    expect(rangesOf(4, "0.0.0.0/0", "10.0.0.0/8", "2001:db8::/64")).toEqual([]);
    expect(rangesOf(6, "0.0.0.0/0", "10.0.0.0/8", "2001:db8::/64")).toEqual(["2001:db8::/64"]);
    expect(rangesOf(4, "10.0.0.0/0")).toEqual([]);
    expect(rangesOf(6, "::/0")).toEqual([]);
    expect(rangesOf(4, "0.0.0.0/1", "128.0.0.0/1")).toEqual(["0.0.0.0/1", "128.0.0.0/1"]);
  });

  test("externalTrafficPolicy means nothing where nobody comes from outside", () => {
    const spec = { clusterIP: "10.96.0.1", externalTrafficPolicy: "Local", ports: [{ port: 80 }] };
    expect(ports({ services: [service("in", spec)] })[0]).toMatchObject({
      externalLocal: false,
      usesLocalEndpoints: false,
    });
  });
});

const state = (ready: boolean, serving: boolean, terminating: boolean) => ({
  conditions: { ready, serving, terminating },
});

describe("which endpoints a node uses", () => {
  const web = (more: object = {}) => service("web", { clusterIP: "10.96.0.1", ports: [{ port: 80 }], ...more });
  const of = (endpoints: Parameters<typeof slice>[2], more: object = {}, yaml = "{}", nodes?: object[]) => {
    const port = ports(
      {
        services: [web(more)],
        slices: [slice("web", ["/8080"], endpoints)],
        ...(nodes === undefined ? {} : { nodes }),
      },
      4,
      0,
      yaml,
    )[0];
    return {
      cluster: texts(port?.clusterEndpoints),
      local: texts(port?.localEndpoints),
      all: texts(port?.allReachable),
      any: port?.hasAnyEndpoints,
    };
  };
  const A = "10.0.0.1:8080";
  const B = "10.0.0.10:8080";
  const C = "10.0.0.2:8080";
  const local = { internalTrafficPolicy: "Local" };

  test("ready ones in the order of their text; an endpoint without a node is nobody's own", () =>
    expect(
      of([
        ["10.0.0.2", "n2"],
        ["10.0.0.10", null],
        ["10.0.0.1", "n1"],
      ]),
    ).toEqual({
      cluster: [B, A, C],
      local: [],
      all: [B, A, C],
      any: true,
    }));
  test("none", () => expect(of([])).toEqual({ cluster: [], local: [], all: [], any: false }));
  test("those that are going away only when none is ready", () => {
    expect(
      of([
        ["10.0.0.1", "n1", state(false, true, true)],
        ["10.0.0.2", "n2"],
      ]).cluster,
    ).toEqual([C]);
    const going = of([
      ["10.0.0.1", "n1", state(false, true, true)],
      ["10.0.0.2", "n2", state(false, false, true)],
      ["10.0.0.10", "n2", state(false, true, false)],
    ]);
    expect(going).toEqual({ cluster: [A], local: [], all: [A], any: true });
  });
  test("policy Local: own ones; others count only as being somewhere", () => {
    expect(
      of(
        [
          ["10.0.0.1", "n1"],
          ["10.0.0.2", "n2"],
        ],
        local,
      ),
    ).toEqual({ cluster: [], local: [A], all: [A], any: true });
    expect(of([["10.0.0.2", "n2"]], local)).toEqual({ cluster: [], local: [], all: [], any: true });
  });
  test("own ones that are going away beside ready ones elsewhere", () => {
    const more = { type: "NodePort", externalTrafficPolicy: "Local", ports: [{ port: 80, nodePort: 30080 }] };
    expect(
      of(
        [
          ["10.0.0.1", "n1", state(false, true, true)],
          ["10.0.0.2", "n2"],
        ],
        more,
      ),
    ).toEqual({
      cluster: [C],
      local: [A],
      all: [A, C],
      any: true,
    });
  });
  test("of two with one address the one that stays", () => {
    const endpoints: Parameters<typeof slice>[2] = [["10.0.0.1", "n1", state(false, true, true)]];
    const slices = [slice("web", ["/8080"], [["10.0.0.1", "n2"]]), slice("web", ["/8080"], endpoints)];
    expect(ports({ services: [web()], slices })[0]?.endpoints).toMatchObject([{ node: "n2", ready: true }]);
  });

  const zoned = [node("n1", { "topology.kubernetes.io/zone": "a" }), node("n2")];
  const hint = (hints: object) => ({ hints });
  const zone = (name: string) => hint({ forZones: [{ name }] });
  const both = (zoneName: string, nodeName: string) =>
    hint({ forZones: [{ name: zoneName }], forNodes: [{ name: nodeName }] });
  test("hints for the zone, when every endpoint has one", () => {
    expect(
      of(
        [
          ["10.0.0.1", "n1", zone("a")],
          ["10.0.0.2", "n2", zone("b")],
        ],
        {},
        "{}",
        zoned,
      ).cluster,
    ).toEqual([A]);
    expect(
      of(
        [
          ["10.0.0.1", "n1", zone("a")],
          ["10.0.0.2", "n2"],
        ],
        {},
        "{}",
        zoned,
      ).cluster,
    ).toEqual([A, C]);
    expect(
      of(
        [
          ["10.0.0.1", "n1", zone("c")],
          ["10.0.0.2", "n2", zone("b")],
        ],
        {},
        "{}",
        zoned,
      ).cluster,
    ).toEqual([A, C]);
  });
  test("hints for the node come first, unless that gate is off", () => {
    const endpoints: Parameters<typeof slice>[2] = [
      ["10.0.0.1", "n1", both("a", "n1")],
      ["10.0.0.2", "n2", both("a", "n2")],
      ["10.0.0.10", "n2", both("b", "n2")],
    ];
    expect(of(endpoints, {}, "{}", zoned).cluster).toEqual([A]);
    const off = "featureGates: {PreferSameTrafficDistribution: false}";
    expect(of(endpoints, {}, off, zoned).cluster).toEqual([A, C]);
  });
});
