import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { thrown } from "../../../test/support/thrown.ts";
import { compute } from "./intended.ts";
import { readScenario } from "./scenario-read.ts";
import { shippedScenarios } from "./shipped.ts";
import { wire } from "./wiring.ts";

test.each([...shippedScenarios()])("%s reads, and its networks can be computed", (name, path) => {
  const scenario = readScenario(readFileSync(path, "utf8"), `${name}.yaml`, name);
  const computed = compute(scenario, wire(scenario));
  expect(computed.objects.length + computed.files.length).toBeGreaterThan(0);
});

test.each([
  ["network: flanel\n", "1: Scenario x: network should be one of none, kube-proxy"],
  ["network: flannel\nmode: vlan\n", "2: Scenario x: mode should be one of vxlan"],
  ["network: none\nnods: 3\n", "2: Scenario x: nods is not known here"],
  ["network: none\nnodes: 0\n", "2: Scenario x: nodes should be from 1 to 250, not 0"],
  ["network: none\nnodes: [n1, n1]\n", "2: node n1 is there twice"],
  ["network: none\nnodes: 2\npods:\n  - { name: a, on: n9 }\n", "4: Scenario x: pods.0.on names n9, which is no node"],
  ["network: none\nnodes: 1\npods:\n  - { name: a, ports: [0] }\n", "4: Scenario x: pods.0.ports.0 should be a port"],
  ["network: none\nfabric: { kind: custom }\n", "2: Scenario x: fabric.segments is missing"],
  ["network: [\n", "2: "],
  ["network: none\nnodes: 1\n---\nkind: Pod\n", '4: expected an "apiVersion" in this Pod'],
])("%j is told as %s", (text, message) => {
  expect(thrown(() => readScenario(text, "x.yaml", "x"))).toContain(`x.yaml:${message}`);
});

test("short words stand for objects", () => {
  const text = `
network: flannel
proxy: nftables
nodes: 2
pods: 3
services:
  - { name: pod, type: NodePort, ports: [80] }
policies:
  - { name: only-web, to: pod, from: [web, other/*], ports: [80] }
`;
  const scenario = readScenario(text, "x.yaml", "x");
  const { objects } = compute(scenario, wire(scenario));
  const spec = (kind: string): unknown => objects.find((each) => each.kind === kind)?.value["spec"];
  expect(
    objects.filter((each) => each.kind === "Pod").map((each) => (each.value["spec"] as { nodeName: string }).nodeName),
  ).toEqual(["n1", "n2", "n1"]);
  expect(spec("Service")).toMatchObject({
    selector: { app: "pod" },
    clusterIP: "10.96.0.11",
    ports: [{ port: 80, nodePort: 30000 }],
  });
  expect(spec("NetworkPolicy")).toEqual({
    podSelector: { matchLabels: { app: "pod" } },
    policyTypes: ["Ingress"],
    ingress: [
      {
        from: [
          { podSelector: { matchLabels: { app: "web" } } },
          { podSelector: {}, namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } } },
        ],
        ports: [{ protocol: "TCP", port: 80 }],
      },
    ],
  });
});
