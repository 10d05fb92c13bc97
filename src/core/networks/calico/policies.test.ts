// Calico's own policies follow libcalico-go/lib/backend/syncersv1/updateprocessors/rules_test.go and felix/calc/policy_sorter_test.go.
import { describe, expect, test } from "vitest";
import { thrown } from "../../../../test/support/thrown.ts";
import { endpointPolicies, policiesOf, policiesOfPod, policyOfChain } from "./policies.ts";
import { fullName } from "./policy.ts";
import { ruleLine } from "./testing/describe.ts";
import { clusterOf, pod } from "./testing/world.ts";
import { workloadEndpoints } from "./workload-endpoints.ts";

const PODS = [
  pod("shop", "web", "10.244.0.1", "n1", { labels: { app: "web" }, serviceAccountName: "front" }),
  pod("ops", "tool", "10.244.0.2", "n1", { labels: { app: "tool" } }),
  pod("kube-system", "proxy", "172.30.0.11", "n1", { hostNetwork: true }),
];
const NAMESPACES = [
  { metadata: { name: "shop", labels: { team: "shop" } } },
  { metadata: { name: "ops", labels: { team: "ops" } } },
];
const ACCOUNTS = [{ metadata: { namespace: "shop", name: "front", labels: { role: "edge" } } }];

const np = (namespace: string, name: string, spec: object) => ({ metadata: { namespace, name }, spec });
const gnp = (name: string, spec: object) => ({ metadata: { name }, spec });

interface Given {
  kubernetes?: object[];
  namespaced?: object[];
  global?: object[];
  tiers?: object[];
}

function world({ kubernetes = [], namespaced = [], global = [], tiers = [] }: Given) {
  return clusterOf({
    pods: PODS,
    namespaces: NAMESPACES,
    serviceaccounts: ACCOUNTS,
    "networkpolicies.networking.k8s.io": kubernetes as Record<string, unknown>[],
    "networkpolicies.crd.projectcalico.org": namespaced as Record<string, unknown>[],
    "globalnetworkpolicies.crd.projectcalico.org": global as Record<string, unknown>[],
    "tiers.crd.projectcalico.org": tiers as Record<string, unknown>[],
  });
}

const namesOf = (cluster: ReturnType<typeof world>, namespace: string, name: string, direction: "ingress" | "egress") =>
  policiesOfPod(cluster, { namespace, name }, direction).map(fullName);

describe("which policies are a pod's", () => {
  test("by namespace, labels and direction", () => {
    const cluster = world({
      kubernetes: [
        np("shop", "deny", { podSelector: {}, policyTypes: ["Ingress"] }),
        np("shop", "web", { podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress", "Egress"] }),
        np("shop", "db", { podSelector: { matchLabels: { app: "db" } } }),
        np("ops", "deny", { podSelector: {}, policyTypes: ["Egress"] }),
      ],
    });
    expect(namesOf(cluster, "shop", "web", "ingress")).toEqual(["shop/deny", "shop/web"]);
    expect(namesOf(cluster, "shop", "web", "egress")).toEqual(["shop/web"]);
    expect(namesOf(cluster, "ops", "tool", "egress")).toEqual(["ops/deny"]);
    // Pods of the host's network have no policies, and neither has who is not there.
    expect(namesOf(cluster, "kube-system", "proxy", "ingress")).toEqual([]);
    expect(namesOf(cluster, "shop", "gone", "ingress")).toEqual([]);
  });

  test("in the order of tiers, of policies, and of names", () => {
    const cluster = world({
      kubernetes: [np("shop", "k", { podSelector: {} })],
      namespaced: [np("shop", "early", { order: 10 }), np("shop", "last", {}), np("shop", "b", { order: 1000 })],
      global: [
        gnp("a", { order: 1000 }),
        gnp("first", { tier: "security", order: 5000 }),
        gnp("after", { tier: "low" }),
      ],
      tiers: [
        gnp("security", { order: 100 }),
        gnp("default", { order: 1_000_000 }),
        gnp("low", { order: 2_000_000, defaultAction: "Pass" }),
      ],
    });
    expect(namesOf(cluster, "shop", "web", "ingress")).toEqual([
      "first",
      "shop/early",
      "a",
      "shop/b",
      "shop/k",
      "shop/last",
      "after",
    ]);
    const [web] = workloadEndpoints(cluster, "cali");
    const tiers =
      web === undefined ? [] : endpointPolicies(cluster, web).map(({ tier }) => `${tier.name} ${tier.passes}`);
    expect(tiers).toEqual(["security false", "default false", "low true"]);
  });

  test("what is for host endpoints only is no pod's", () => {
    const global = [
      gnp("raw", { doNotTrack: true, applyOnForward: true }),
      gnp("nat", { preDNAT: true, applyOnForward: true }),
    ];
    expect(namesOf(world({ global }), "shop", "web", "ingress")).toEqual([]);
  });

  test.each<[object, boolean]>([
    [{ selector: "all()" }, true],
    [{ selector: "app == 'web'" }, true],
    [{ selector: "app == 'web'", namespaceSelector: "team == 'shop'" }, true],
    [{ selector: "app == 'web'", namespaceSelector: "team == 'ops'" }, false],
    [{ namespaceSelector: "all()" }, true],
    [{ serviceAccountSelector: "role == 'edge'" }, true],
    [{ serviceAccountSelector: "all()" }, true],
    [{ serviceAccountSelector: "!has(role)" }, false],
    [{ selector: "projectcalico.org/name == 'x'" }, false],
    [{ namespaceSelector: "projectcalico.org/name == 'shop'" }, true],
    [{ selector: "projectcalico.org/serviceaccount == 'front'" }, true],
  ])("a global one with %j: %s", (spec, takes) => {
    expect(namesOf(world({ global: [gnp("g", spec)] }), "shop", "web", "ingress")).toEqual(takes ? ["g"] : []);
  });
});

test("no types are both directions", () => {
  const [both, one] = policiesOf(world({ global: [gnp("a", {}), gnp("b", { types: ["Egress"] })] }));
  expect([both?.governs, one?.governs]).toEqual([
    { ingress: true, egress: true },
    { ingress: false, egress: true },
  ]);
});

describe("rules", () => {
  const rulesOf = (namespace: string, rule: object): string[] => {
    const spec = { ingress: [rule] };
    const cluster =
      namespace === "" ? world({ global: [gnp("p", spec)] }) : world({ namespaced: [np(namespace, "p", spec)] });
    return policiesOf(cluster).flatMap((policy) => policy.rules.ingress.map(ruleLine));
  };

  test.each<[string, object, string]>([
    ["", { action: "Deny" }, "deny from any to any"],
    [
      "",
      { action: "Pass", protocol: "TCP", destination: { ports: [80, "90:95", "http"] } },
      "pass tcp from any to ports 80,90-95,http",
    ],
    ["", { action: "Log", protocol: 47 }, "log 47 from any to any"],
    ["", { action: "Allow", protocol: "ICMP" }, "allow v4 icmp from any to any"],
    [
      "",
      { action: "Allow", source: { nets: ["10.0.0.0/8"], notNets: ["10.1.0.0/16"] } },
      "allow from 10.0.0.0/8; not 10.1.0.0/16 to any",
    ],
    [
      "",
      { action: "Allow", source: { selector: "a == 'b'", notSelector: "has(c)" } },
      "allow from a == 'b'; not has(c) to any",
    ],
    // A rule of a namespace means endpoints of that namespace, unless it says which.
    [
      "shop",
      { action: "Allow", source: { selector: "a == 'b'" } },
      "allow from (projectcalico.org/namespace == 'shop') && (a == 'b') to any",
    ],
    [
      "shop",
      { action: "Allow", source: { notSelector: "has(c)" } },
      "allow from projectcalico.org/namespace == 'shop'; not has(c) to any",
    ],
    ["shop", { action: "Allow", source: { nets: ["10.0.0.0/8"] } }, "allow from 10.0.0.0/8 to any"],
    [
      "shop",
      { action: "Allow", source: { selector: "a == 'b'", namespaceSelector: "team == 'ops'" } },
      "allow from (pcns.team == \"ops\") && (a == 'b') to any",
    ],
    [
      "shop",
      { action: "Allow", source: { namespaceSelector: "all()" } },
      "allow from has(projectcalico.org/namespace) to any",
    ],
    [
      "shop",
      { action: "Allow", source: { selector: "a == 'b'", namespaceSelector: "global()" } },
      "allow from (!has(projectcalico.org/namespace)) && (a == 'b') to any",
    ],
    [
      "shop",
      { action: "Allow", source: { serviceAccounts: { names: ["z", "y"], selector: "role == 'edge'" } } },
      'allow from (projectcalico.org/namespace == \'shop\') && ((pcsa.role == "edge") && (projectcalico.org/serviceaccount in {"y", "z"})) to any',
    ],
    ["shop", { action: "Allow", destination: { services: { name: "db" } } }, "allow from any to service shop/db"],
    [
      "shop",
      { action: "Allow", destination: { services: { name: "db", namespace: "ops" } } },
      "allow from any to service ops/db",
    ],
  ])("of the namespace %j: %j", (namespace, rule, line) => expect(rulesOf(namespace, rule)).toEqual([line]));
});

test("names and labels that calico-apiserver or calicoctl wrote", () => {
  const meta = {
    name: "default.p",
    annotations: { "projectcalico.org/metadata": JSON.stringify({ name: "p", labels: { a: "b" } }) },
  };
  expect(policiesOf(world({ global: [{ metadata: meta, spec: {} }] })).map(({ id }) => id.name)).toEqual(["p"]);
});

test("a selector that makes no sense", () => {
  const cluster = world({ global: [gnp("p", { selector: "a = 'b'" })] });
  expect(thrown(() => policiesOf(cluster))).toBe(
    'IntentError: GlobalNetworkPolicy p: the selector "a = \'b\'" makes no sense: nothing can begin with "="',
  );
});

test("the policy of a chain", () => {
  const cluster = world({
    kubernetes: [np("shop", "default-deny-ingress", { podSelector: {} })],
    global: [gnp("short", {})],
  });
  expect(policyOfChain(cluster, "cali-pi-_0_iCoff_jpURkJFfXgc")).toEqual({
    policy: { kind: "KubernetesNetworkPolicy", namespace: "shop", name: "default-deny-ingress" },
    direction: "ingress",
  });
  expect(policyOfChain(cluster, "cali-po-gnp/short")).toEqual({
    policy: { kind: "GlobalNetworkPolicy", namespace: "", name: "short" },
    direction: "egress",
  });
  expect(policyOfChain(cluster, "cali-pi-gnp/other")).toBeNull();
});
