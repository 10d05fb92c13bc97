/** Small sites for tests: objects as the API server gives them, machines with kube-proxy's configuration. */
import { emptyCluster, parseClusterResource } from "../../../parse/cluster.ts";
import type { Claim } from "../../claim.ts";
import type { Machine, Site } from "../../site.ts";

export interface TestObjects {
  services?: object[];
  slices?: object[];
  nodes?: object[];
}

/** Endpoints of a slice: address and node, and what is not as usual. */
type TestEndpoint = [address: string, node: string | null, more?: object];

/** A Service object of the namespace `shop`. */
export function service(name: string, spec: object, more: { status?: object; labels?: object } = {}): object {
  const metadata = { namespace: "shop", name, labels: more.labels ?? {} };
  return { metadata, spec: { ipFamilies: ["IPv4"], ...spec }, status: more.status ?? {} };
}

/** An EndpointSlice of a Service of `shop`; `ports` are `name/port/protocol`. */
export function slice(name: string, ports: string[], endpoints: TestEndpoint[], family: 4 | 6 = 4): object {
  const metadata = { namespace: "shop", name: `${name}-${family}`, labels: { "kubernetes.io/service-name": name } };
  return {
    metadata,
    addressType: `IPv${family}`,
    ports: ports.map((text) => {
      const [portName, port, protocol] = text.split("/");
      return { name: portName, port: Number(port), protocol: protocol ?? "TCP" };
    }),
    endpoints: endpoints.map(([address, nodeName, more]) => ({
      addresses: [address],
      nodeName: nodeName ?? undefined,
      conditions: { ready: true, serving: true, terminating: false },
      ...more,
    })),
  };
}

/** Node n1 at 172.30.0.11, n2 at 172.30.0.12 … with labels. */
export function node(name: string, labels: object = {}): object {
  const address = `172.30.0.1${name.slice(1)}`;
  return {
    metadata: { name, labels },
    status: {
      addresses: [{ type: "InternalIP", address }],
      nodeInfo: { kubeletVersion: "v1.34.4", kernelVersion: "6.18.44" },
    },
  };
}

/** What a machine has recorded: command lines by program, files by path or by name in programs/. */
export interface Recorded {
  commands?: Record<string, string>;
  files?: Record<string, string>;
}

/** A site whose machines are its nodes; every machine has the same `recorded`. */
export function testSite(objects: TestObjects, recorded: Recorded): Site & { machines: [Machine, ...Machine[]] } {
  const cluster = emptyCluster();
  const read = (items: object[], resource: string): void =>
    parseClusterResource(JSON.stringify({ kind: "List", items }), `cluster/${resource}.json`, resource, cluster);
  read(objects.services ?? [], "services");
  read(objects.slices ?? [], "endpointslices.discovery.k8s.io");
  read(objects.nodes ?? [node("n1"), node("n2")], "nodes");
  const machines = cluster.nodes.map((each, i): Machine => {
    const address = each.addresses[0]?.address ?? "";
    return {
      name: each.name,
      place: `${each.name}/host`,
      node: each,
      devices: [{ index: 2, name: "eth0", mac: null, mtu: 1500, addresses: [`${address}/24`, `fe80::${i + 1}/64`] }],
      sandboxes: [],
      macOf: () => null,
      command(program) {
        const text = recorded.commands?.[program];
        if (text === undefined) return null;
        const source = { file: `nodes/${each.name}/programs/${program}.cmdline`, line: 1 };
        return { env: new Map(), program, words: text.split(" ").slice(1), source };
      },
      file(path) {
        const text = recorded.files?.[path];
        return text === undefined ? null : { text, source: { file: `nodes/${each.name}/programs/${path}`, line: 1 } };
      },
      files: () => [],
    };
  });
  return { cluster, machines: machines as [Machine, ...Machine[]] };
}

/** A site where kube-proxy has this YAML. */
export const siteWith = (yaml: string, objects: TestObjects): ReturnType<typeof testSite> =>
  testSite(objects, { files: { "kube-proxy.yaml": yaml } });

/** Claims on iptables of one family as `iptables-restore --noflush` reads them. */
export function restoreText(claims: readonly Claim[], family: "ip" | "ip6"): string {
  const lines: string[] = [];
  for (const table of ["mangle", "filter", "nat"]) {
    const rules: string[] = [];
    lines.push(`*${table}`);
    for (const claim of claims) {
      if (claim.kind === "chain" && claim.state.backend === "iptables") {
        if (claim.state.table !== table || claim.state.family !== family) continue;
        lines.push(`:${claim.state.chain} - [0:0]`);
        for (const rule of claim.rules ?? []) rules.push(`-A ${claim.state.chain} ${String(rule)}`);
      } else if (claim.kind === "rule" && claim.chain.backend === "iptables") {
        if (claim.chain.table !== table || claim.chain.family !== family) continue;
        rules.push(`-A ${claim.chain.chain} ${String(claim.state)}`);
      }
    }
    lines.push(...rules, "COMMIT");
  }
  return `${lines.join("\n")}\n`;
}

/** Rules of a claimed chain; null when nobody claims it. */
export function rulesOf(claims: readonly Claim[], table: string, chain: string, family = "ip"): unknown[] | null {
  for (const claim of claims) {
    if (claim.kind !== "chain" || claim.state.backend !== "iptables" || claim.state.family !== family) continue;
    if (claim.state.table === table && claim.state.chain === chain) return claim.rules;
  }
  return null;
}
