/** A Corefile, as far as it decides what the cluster's DNS answers (coredns.io/manual/toc, Caddyfile syntax). */
import type { Cluster } from "../../model/cluster.ts";
import { mapAt, textAt } from "../raw-paths.ts";

/** The kubernetes plugin of a server block (plugin/kubernetes/setup.go). */
export interface KubernetesZone {
  /** Without final dots, lower case: `cluster.local`, `in-addr.arpa`. */
  zones: string[];
  /** Pod records: none, for every address, or only for addresses that pods have. */
  pods: "disabled" | "insecure" | "verified";
  endpointPodNames: boolean;
  /** Namespaces that are served; null for all. */
  namespaces: string[] | null;
  ttl: number;
  /** NXDOMAIN for Services without endpoints. */
  ignoreEmptyService: boolean;
  /** Zones in which a name that is not there goes to the next plugin; `["."]` for all of them, empty for none. */
  fallthrough: string[];
}

export interface ServerBlock {
  /** Zones of the block, lower case, without final dot; "." for the root. */
  zones: string[];
  port: number;
  kubernetes: KubernetesZone | null;
  /** `forward` and its targets, `/etc/resolv.conf` among them. */
  forwards: { zone: string; to: string[] }[];
  /** Every plugin that is named, in order, with its arguments. */
  plugins: { name: string; words: string[] }[];
}

/** Default of the plugin's ttl, in seconds (plugin/kubernetes/kubernetes.go, defaultTTL). */
const DEFAULT_TTL = 5;
const DNS_PORT = 53;

interface Directive {
  words: string[];
  body: Directive[];
}

/** Words, braces and line ends; `#` begins a comment, double quotes hold blanks. */
function tokens(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split("\n")) {
    for (const [token] of line.matchAll(/"(?:\\.|[^"\\])*"|[^\s"]+/g)) {
      if (token.startsWith("#")) break;
      found.push(token.startsWith('"') ? token.slice(1, -1).replaceAll('\\"', '"') : token);
    }
    found.push("\n");
  }
  return found;
}

/** Directives up to the closing brace, each a line of words with a body in braces when it has one. */
function directives(list: readonly string[], cursor: { at: number }): Directive[] {
  const found: Directive[] = [];
  let words: string[] = [];
  const flush = (): void => {
    if (words.length > 0) found.push({ words, body: [] });
    words = [];
  };
  while (cursor.at < list.length) {
    const token = list[cursor.at++]!;
    if (token === "}") break;
    if (token === "\n") flush();
    else if (token === "{") {
      const body = directives(list, cursor);
      found.push({ words, body });
      words = [];
    } else words.push(token);
  }
  flush();
  return found;
}

const zoneName = (text: string): string => {
  const name = text.toLowerCase().replace(/^dns:\/\//, "");
  return name === "." ? "." : name.replace(/\.$/, "");
};

function kubernetesZone(directive: Directive, block: readonly string[]): KubernetesZone {
  const zones = directive.words.slice(1).map(zoneName);
  const zone: KubernetesZone = {
    zones: zones.length > 0 ? zones : [...block],
    pods: "disabled",
    endpointPodNames: false,
    namespaces: null,
    ttl: DEFAULT_TTL,
    ignoreEmptyService: false,
    fallthrough: [],
  };
  for (const { words } of directive.body) {
    const [name, ...rest] = words;
    if (name === "pods" && (rest[0] === "insecure" || rest[0] === "verified")) zone.pods = rest[0];
    else if (name === "endpoint_pod_names") zone.endpointPodNames = true;
    else if (name === "namespaces") zone.namespaces = rest;
    else if (name === "ttl") zone.ttl = Number(rest[0] ?? DEFAULT_TTL);
    else if (name === "ignore" && rest[0] === "empty_service") zone.ignoreEmptyService = true;
    else if (name === "fallthrough") zone.fallthrough = rest.length > 0 ? rest.map(zoneName) : ["."];
  }
  return zone;
}

/** Reads a Corefile's server blocks in their order. What has no meaning here is kept in `plugins`; never throws. */
export function parseCorefile(text: string): ServerBlock[] {
  return directives(tokens(text), { at: 0 }).map((block) => {
    const names = block.words.flatMap((word) => word.split(",")).filter((word) => word !== "");
    const zones = names.map((name) => zoneName(name.replace(/:\d+$/, "") || "."));
    const port = /:(\d+)$/.exec(names[0] ?? "");
    const kubernetes = block.body.find((each) => each.words[0] === "kubernetes");
    return {
      zones: zones.length > 0 ? zones : ["."],
      port: port === null ? DNS_PORT : Number(port[1]),
      kubernetes: kubernetes === undefined ? null : kubernetesZone(kubernetes, zones),
      forwards: block.body
        .filter((each) => each.words[0] === "forward")
        .map((each) => ({ zone: zoneName(each.words[1] ?? "."), to: each.words.slice(2) })),
      plugins: block.body.map((each) => ({ name: each.words[0] ?? "", words: each.words.slice(1) })),
    };
  });
}

/** The Corefile of kubeadm (app/phases/addons/dns/manifests.go): what stands in when a cluster's own was not recorded. */
export function kubeadmCorefile(domain: string): string {
  return `.:53 {
    errors
    health
    ready
    kubernetes ${domain} in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
`;
}

/** The recorded Corefile of the cluster's DNS (ConfigMap kube-system/coredns); null when ConfigMaps were not recorded. */
export function corefileOf(cluster: Cluster): string | null {
  const map = cluster.raw
    .get("configmaps")
    ?.find(
      (each) =>
        textAt(each, "metadata", "namespace") === "kube-system" && textAt(each, "metadata", "name") === "coredns",
    );
  return map === undefined ? null : (mapAt(map, "data").get("Corefile") ?? null);
}
