// Goldens follow libcalico-go/lib/backend/k8s/conversion/conversion_test.go and the meaning that the NetworkPolicy API gives each part.
import { describe, expect, test } from "vitest";
import { kubernetesPolicies, simplifyPorts } from "./k8s-policy.ts";
import type { Policy } from "./policy.ts";
import { formatSelector } from "./selector.ts";
import { ruleLine } from "./testing/describe.ts";
import { clusterOf } from "./testing/world.ts";

function policy(spec: Record<string, unknown>): Policy {
  const object = { metadata: { namespace: "shop", name: "p" }, spec };
  const [only] = kubernetesPolicies(clusterOf({ "networkpolicies.networking.k8s.io": [object] }));
  if (only === undefined) throw new Error("no policy");
  return only;
}

const ingress = (...rules: unknown[]): string[] =>
  policy({ podSelector: {}, policyTypes: ["Ingress"], ingress: rules }).rules.ingress.map(ruleLine);
const egress = (...rules: unknown[]): string[] =>
  policy({ podSelector: {}, policyTypes: ["Egress"], egress: rules }).rules.egress.map(ruleLine);

const OWN = "projectcalico.org/namespace == 'shop'";
const PODS = "projectcalico.org/orchestrator == 'k8s'";

describe("pods that a policy is for", () => {
  test.each([
    [undefined, '(projectcalico.org/orchestrator == "k8s" && projectcalico.org/namespace == "shop")'],
    [{}, '(projectcalico.org/orchestrator == "k8s" && projectcalico.org/namespace == "shop")'],
    [
      { matchLabels: { label2: "value2", label: "value" } },
      '((projectcalico.org/orchestrator == "k8s" && label == "value" && label2 == "value2") && projectcalico.org/namespace == "shop")',
    ],
    [
      {
        matchExpressions: [
          { key: "b", operator: "In", values: ["z", "y"] },
          { key: "a", operator: "NotIn", values: ["x"] },
          { key: "d", operator: "Exists" },
          { key: "c", operator: "DoesNotExist" },
        ],
      },
      '((projectcalico.org/orchestrator == "k8s" && b in {"y", "z"} && a not in {"x"} && has(d) && !has(c)) && projectcalico.org/namespace == "shop")',
    ],
  ])("%j", (podSelector, selector) => expect(formatSelector(policy({ podSelector }).selector)).toBe(selector));
});

test.each([
  [undefined, { ingress: true, egress: false }],
  [["Ingress"], { ingress: true, egress: false }],
  [["Egress"], { ingress: false, egress: true }],
  [["Ingress", "Egress"], { ingress: true, egress: true }],
])("the types %j", (policyTypes, governs) => expect(policy({ podSelector: {}, policyTypes }).governs).toEqual(governs));

describe("peers", () => {
  test("none, and an empty rule, are everyone", () => {
    expect(ingress({})).toEqual(["allow from any to any"]);
    expect(ingress({ from: [] })).toEqual(["allow from any to any"]);
    expect(egress({})).toEqual(["allow from any to any"]);
    expect(ingress()).toEqual([]);
  });

  test("of the own namespace, of others, of all", () => {
    expect(ingress({ from: [{ podSelector: { matchLabels: { app: "client" } } }] })).toEqual([
      `allow from (${OWN}) && (${PODS} && app == 'client') to any`,
    ]);
    expect(ingress({ from: [{ podSelector: {} }] })).toEqual([`allow from (${OWN}) && (${PODS}) to any`]);
    expect(ingress({ from: [{ namespaceSelector: {} }] })).toEqual([
      `allow from (has(projectcalico.org/namespace)) && (${PODS}) to any`,
    ]);
    expect(ingress({ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }] })).toEqual([
      `allow from (pcns.team == "ops") && (${PODS}) to any`,
    ]);
    expect(
      ingress({
        from: [
          {
            namespaceSelector: { matchExpressions: [{ key: "team", operator: "NotIn", values: ["ops"] }] },
            podSelector: { matchLabels: { app: "client" } },
          },
        ],
      }),
    ).toEqual([`allow from (pcns.team not in {"ops"}) && (${PODS} && app == 'client') to any`]);
  });

  test("networks, and what of them is excepted", () => {
    expect(ingress({ from: [{ ipBlock: { cidr: "203.0.113.0/24", except: ["203.0.113.128/25"] } }] })).toEqual([
      "allow from 203.0.113.0/24; not 203.0.113.128/25 to any",
    ]);
    expect(
      egress({ to: [{ ipBlock: { cidr: "0.0.0.0/0" } }, { ipBlock: { cidr: "fd00::/8", except: ["fd00:1::/32"] } }] }),
    ).toEqual(["allow from any to 0.0.0.0/0", "allow from any to fd00::/8; not fd00:1::/32"]);
    // Host bits do not count.
    expect(ingress({ from: [{ ipBlock: { cidr: "10.0.0.7/8" } }] })).toEqual(["allow from 10.0.0.0/8 to any"]);
  });

  test("each of them is a rule for each protocol", () => {
    const from = [{ podSelector: { matchLabels: { app: "a" } } }, { ipBlock: { cidr: "192.0.2.0/24" } }];
    const ports = [{ port: 53, protocol: "UDP" }, { port: 53 }];
    expect(ingress({ from, ports })).toEqual([
      `allow tcp from (${OWN}) && (${PODS} && app == 'a') to ports 53`,
      "allow tcp from 192.0.2.0/24 to ports 53",
      `allow udp from (${OWN}) && (${PODS} && app == 'a') to ports 53`,
      "allow udp from 192.0.2.0/24 to ports 53",
    ]);
    expect(egress({ to: from, ports: [{ port: 80 }] })).toEqual([
      `allow tcp from any to (${OWN}) && (${PODS} && app == 'a'); ports 80`,
      "allow tcp from any to 192.0.2.0/24; ports 80",
    ]);
  });
});

describe("ports", () => {
  test.each<[unknown[], string[]]>([
    [[{ port: 80 }], ["allow tcp from any to ports 80"]],
    [[{ port: "http" }], ["allow tcp from any to ports http"]],
    [[{ port: "http", protocol: "UDP" }], ["allow udp from any to ports http"]],
    [[{ port: 8080, endPort: 8090, protocol: "SCTP" }], ["allow sctp from any to ports 8080-8090"]],
    [[{ protocol: "UDP" }], ["allow udp from any to any"]],
    // Every port of a protocol, whatever else is said of it.
    [[{ port: 1, protocol: "UDP" }, { protocol: "UDP" }, { port: 2, protocol: "UDP" }], ["allow udp from any to any"]],
    [[{ port: "http" }, { port: 81 }, { port: 80 }], ["allow tcp from any to ports http,80-81"]],
  ])("%j", (ports, rules) => expect(ingress({ ports })).toEqual(rules));

  // TestSimplifyPorts in conversion_test.go.
  test.each<[string, string]>([
    ["1", "1"],
    ["5,1,2,3,9", "1-3,5,9"],
    ["10-20,15-30,31", "10-31"],
    ["1-65535,80", "1-65535"],
    ["b,2,a,1", "b,a,1-2"],
    ["7,7", "7"],
    ["a,5", "a,5"],
    ["9,a,5-6", "a,5-6,9"],
  ])("%s become %s", (given, simple) => {
    const ports = given.split(",").map((each) => {
      const [first = "", last = first] = each.split("-");
      return /^\d/.test(first) ? { first: Number(first), last: Number(last) } : { name: first };
    });
    const text = simplifyPorts(ports).map((port) =>
      "name" in port ? port.name : port.first === port.last ? `${port.first}` : `${port.first}-${port.last}`,
    );
    expect(text.join(",")).toBe(simple);
  });
});
