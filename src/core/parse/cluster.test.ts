import { describe, expect, test } from "vitest";
import { ParseError } from "../model/source.ts";
import { emptyCluster, parseClusterResource } from "./cluster.ts";

const list = (...items: unknown[]): string => `${JSON.stringify({ apiVersion: "v1", kind: "List", items }, null, 1)}\n`;

function read(resource: string, ...items: unknown[]) {
  const cluster = emptyCluster();
  parseClusterResource(list(...items), `cluster/${resource}.json`, resource, cluster);
  return cluster;
}

const metadata = { namespace: "shop", name: "web", labels: { app: "web" } };

describe("pods", () => {
  test("addresses, ports of containers and sidecars, state", () => {
    const { pods, raw } = read("pods", {
      kind: "Pod",
      metadata: { ...metadata, deletionTimestamp: "2026-11-20T21:53:56Z" },
      spec: {
        nodeName: "n1",
        hostNetwork: true,
        containers: [
          {
            name: "a",
            ports: [{ containerPort: 80, hostPort: 8080, hostIP: "10.0.0.1", name: "http", protocol: "TCP" }],
          },
        ],
        initContainers: [
          { name: "b", restartPolicy: "Always", ports: [{ containerPort: 53, protocol: "UDP" }] },
          { name: "c", ports: [{ containerPort: 99 }] },
        ],
      },
      status: {
        phase: "Running",
        podIP: "10.244.0.2",
        podIPs: [{ ip: "10.244.0.2" }, { ip: "fd00::2" }],
        hostIP: "172.30.0.11",
        conditions: [{ type: "Ready", status: "True" }],
      },
    });
    expect(pods).toEqual([
      {
        namespace: "shop",
        name: "web",
        labels: { app: "web" },
        annotations: {},
        source: { file: "cluster/pods.json", line: 5 },
        node: "n1",
        hostNetwork: true,
        ips: ["10.244.0.2", "fd00::2"],
        hostIPs: ["172.30.0.11"],
        phase: "Running",
        ready: true,
        terminating: true,
        ports: [
          { name: "http", containerPort: 80, hostPort: 8080, hostIP: "10.0.0.1", protocol: "TCP" },
          { name: null, containerPort: 53, hostPort: null, hostIP: null, protocol: "UDP" },
        ],
      },
    ]);
    expect(raw.get("pods")).toHaveLength(1);
  });

  test("one that is not scheduled as yet", () => {
    const { pods } = read("pods", { metadata, spec: { containers: [] }, status: { phase: "Pending" } });
    expect(pods[0]).toMatchObject({ node: null, ips: [], ready: false, terminating: false, hostNetwork: false });
  });
});

const service = (spec: object, status: object = {}) => read("services", { metadata, spec, status }).services[0]!;

describe("services", () => {
  test("defaults of the API server", () => {
    expect(service({ clusterIP: "10.96.0.1", ports: [{ port: 80 }] })).toMatchObject({
      type: "ClusterIP",
      clusterIPs: ["10.96.0.1"],
      headless: false,
      ports: [{ name: "", protocol: "TCP", port: 80, targetPort: 80, nodePort: null }],
      sessionAffinity: "None",
      externalTrafficPolicy: "Cluster",
      internalTrafficPolicy: "Cluster",
    });
  });

  test("headless, external name, load balancer", () => {
    expect(service({ clusterIP: "None", clusterIPs: ["None"] })).toMatchObject({ clusterIPs: [], headless: true });
    expect(service({ type: "ExternalName", externalName: "a.example" })).toMatchObject({
      clusterIPs: [],
      headless: false,
      externalName: "a.example",
    });
    expect(
      service(
        {
          type: "LoadBalancer",
          clusterIPs: ["10.96.0.2", "fd00::2"],
          externalIPs: ["192.0.2.9"],
          ports: [{ port: 1, targetPort: "http", nodePort: 30000 }],
        },
        { loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }, { hostname: "lb.example" }] } },
      ),
    ).toMatchObject({
      clusterIPs: ["10.96.0.2", "fd00::2"],
      externalIPs: ["192.0.2.9"],
      loadBalancerIPs: ["192.0.2.1"],
      ports: [{ targetPort: "http", nodePort: 30000 }],
    });
  });
});

test("services: what decides who is let in, for how long, and from where", () => {
  expect(
    service(
      {
        ipFamilies: ["IPv6", "IPv4"],
        loadBalancerSourceRanges: ["203.0.113.0/28"],
        healthCheckNodePort: 32000,
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
        trafficDistribution: "PreferClose",
      },
      { loadBalancer: { ingress: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2", ipMode: "Proxy" }, { hostname: "lb" }] } },
    ),
  ).toMatchObject({
    ipFamilies: ["IPv6", "IPv4"],
    loadBalancerIngress: [
      { ip: "192.0.2.1", ipMode: "VIP" },
      { ip: "192.0.2.2", ipMode: "Proxy" },
    ],
    loadBalancerSourceRanges: ["203.0.113.0/28"],
    healthCheckNodePort: 32000,
    sessionAffinitySeconds: 600,
    trafficDistribution: "PreferClose",
  });
  expect(service({})).toMatchObject({
    ipFamilies: [],
    loadBalancerIngress: [],
    loadBalancerSourceRanges: [],
    healthCheckNodePort: null,
    sessionAffinitySeconds: 10800,
    trafficDistribution: null,
  });
});

test("endpoint slices: absent conditions mean ready, serving as ready", () => {
  const { endpointSlices } = read("endpointslices.discovery.k8s.io", {
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "", port: 80, protocol: "TCP" }, { port: null }],
    endpoints: [
      { addresses: ["10.244.0.2"], nodeName: "n1", targetRef: { kind: "Pod", namespace: "shop", name: "web-1" } },
      {
        addresses: ["10.244.0.3"],
        conditions: { ready: false, serving: true, terminating: true },
        zone: "a",
        hints: { forZones: [{ name: "a" }, { name: "b" }], forNodes: [{ name: "n1" }] },
      },
      { addresses: ["10.244.0.4"], conditions: { ready: false }, targetRef: { kind: "Node", name: "n1" } },
    ],
  });
  expect(endpointSlices[0]).toMatchObject({
    service: "web",
    ports: [{ name: "", port: 80, protocol: "TCP" }, { port: null }],
    endpoints: [
      {
        ready: true,
        serving: true,
        terminating: false,
        node: "n1",
        zone: null,
        hints: { zones: [], nodes: [] },
        pod: { namespace: "shop", name: "web-1" },
      },
      {
        ready: false,
        serving: true,
        terminating: true,
        node: null,
        zone: "a",
        hints: { zones: ["a", "b"], nodes: ["n1"] },
        pod: null,
      },
      { ready: false, serving: false, terminating: false, pod: null },
    ],
  });
});

test("nodes", () => {
  const { nodes } = read("nodes", {
    kind: "Node",
    metadata: { name: "n1" },
    spec: { podCIDR: "10.244.1.0/24" },
    status: {
      addresses: [{ type: "InternalIP", address: "172.30.0.11" }],
      capacity: { cpu: "8" },
      nodeInfo: { kubeletVersion: "v1.34.4", kernelVersion: "6.18.44" },
    },
  });
  expect(nodes[0]).toMatchObject({
    namespace: "",
    addresses: [{ type: "InternalIP", address: "172.30.0.11" }],
    podCIDRs: ["10.244.1.0/24"],
    kubeletVersion: "v1.34.4",
    kernelVersion: "6.18.44",
    cpus: 8,
  });
});

test("other resources are kept as they are", () => {
  const { raw } = read("ippools.crd.projectcalico.org", { kind: "IPPool", spec: { cidr: "10.244.0.0/16" } });
  expect(raw.get("ippools.crd.projectcalico.org")).toEqual([{ kind: "IPPool", spec: { cidr: "10.244.0.0/16" } }]);
});

test.each([
  ["pods", "", "cut off"],
  ["pods", "{}", '"kind" is missing'],
  ["pods", '{"kind":"Status"}', "should be a List"],
  ["pods", '{"kind":"List"}', '"items" is missing'],
  ["pods", '{"kind":"List","items":[1]}', "should be an object"],
  ["pods", '{"kind":"List","items":[{"kind":"Service","metadata":{"name":"a"}}]}', "should be a Pod"],
  ["pods", '{"kind":"List","items":[{"spec":{}}]}', '"metadata" is missing'],
  ["pods", '{"kind":"PodList","items":[{"metadata":{"name":"a","labels":{"x":1}}}]}', "should be a string"],
  [
    "services",
    '{"kind":"List","items":[{"metadata":{"name":"a"},"spec":{"ports":[{"port":70000}]}}]}',
    "should be a port",
  ],
  [
    "services",
    '{"kind":"List","items":[{"metadata":{"name":"a"},"spec":{"ports":[{"name":"x"}]}}]}',
    "should be a port",
  ],
  [
    "services",
    '{"kind":"List","items":[{"metadata":{"name":"a"},"spec":{"ports":[{"port":1,"targetPort":{}}]}}]}',
    "a number or a name",
  ],
  [
    "endpointslices.discovery.k8s.io",
    '{"kind":"List","items":[{"metadata":{"name":"a"}}]}',
    '"addressType" is missing',
  ],
])("%s refuses %j", (resource, text, message) => {
  const cluster = emptyCluster();
  expect(() => parseClusterResource(text, "f", resource, cluster)).toThrow(ParseError);
  expect(() => parseClusterResource(text, "f", resource, cluster)).toThrow(message);
  expect(cluster).toEqual(emptyCluster());
});
