/** Finds the names in a snapshot's JSON: of the cluster's objects, of machines, of pods' namespaces. */
import type { NameKind, Names } from "./names.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Whether the value is an object that is no list. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Properties that hold the name of something, and of what. */
const NAMING: Readonly<Record<string, NameKind>> = {
  nodeName: "node",
  hostname: "name",
  subdomain: "name",
  serviceName: "svc",
  serviceAccountName: "name",
  serviceAccount: "name",
  configMapName: "name",
  secretName: "name",
  claimName: "name",
  priorityClassName: "name",
  ingressClassName: "name",
  externalName: "host",
  host: "host",
};

/** Kinds of objects that are referred to by `kind` and `name`. */
const KINDS: Readonly<Record<string, NameKind>> = { Pod: "pod", Node: "node", Service: "svc", Namespace: "ns" };

/** Kinds of objects by the name of their resource. */
const RESOURCES: Readonly<Record<string, NameKind>> = { pods: "pod", nodes: "node", services: "svc", namespaces: "ns" };

/** Policies of Kubernetes, Calico and Cilium. */
const POLICIES = /^[a-z]*networkpolicies(?:\.|$)/;

/** Labels whose values are of a fixed choice, or are a number. */
const PLAIN_LABEL =
  /^(?:beta\.)?kubernetes\.io\/(?:os|arch)$|\/(?:managed-by|instance-type)$|^pod-template-generation$|^controller-revision-hash$/;

/** Resources whose objects are named after addresses, nodes and containers: what of these is a name, other objects tell. */
const NAMED_BY_RULE = /^(?:ipamblocks|blockaffinities|ipamhandles|ipaddresses)(?:\.|$)/;

/** Maps of labels: their values are names. */
const LABELS: ReadonlySet<string> = new Set(["labels", "matchLabels", "selector", "nodeSelector"]);

/** Lists of host names. */
const HOSTS: ReadonlySet<string> = new Set(["hosts", "hostnames", "sans"]);

/** Names of addresses of a node (`status.addresses`). */
const HOST_ADDRESSES: ReadonlySet<string> = new Set(["Hostname", "InternalDNS", "ExternalDNS"]);

function labels(map: JsonObject, names: Names): void {
  for (const [key, value] of Object.entries(map)) {
    if (PLAIN_LABEL.test(key)) continue;
    if (typeof value === "string") names.add("label", value);
    // The organization's own domain before the slash.
    const domain = /^([^/]+)\//.exec(key)?.[1];
    if (
      domain !== undefined &&
      !/(?:^|\.)(?:kubernetes\.io|k8s\.io|projectcalico\.org|cilium\.io|coreos\.com|metallb\.(?:io|universe\.tf)|cncf\.io)$/.test(
        domain,
      )
    )
      names.add("domain", domain);
  }
}

/** Walks any JSON of the cluster's API and adds the names in it. */
function walk(value: Json, names: Names): void {
  if (Array.isArray(value)) {
    for (const each of value) walk(each, names);
    return;
  }
  if (!isObject(value)) return;
  const kind = typeof value["kind"] === "string" ? KINDS[value["kind"]] : undefined;
  if (kind !== undefined && value["metadata"] === undefined) names.add(kind, value["name"]);
  if (typeof value["type"] === "string" && HOST_ADDRESSES.has(value["type"])) names.add("host", value["address"]);
  for (const [key, each] of Object.entries(value)) {
    const naming = NAMING[key];
    if (naming !== undefined) names.add(naming, each);
    else if (key === "namespace") names.add("ns", each);
    else if (key === "node") names.add("node", each);
    else if (LABELS.has(key) && isObject(each)) labels(each, names);
    else if (key === "values" && Array.isArray(each)) for (const one of each) names.add("label", one);
    else if (HOSTS.has(key) && Array.isArray(each)) for (const one of each) names.add("host", one);
    else if (key === "ownerReferences" && Array.isArray(each))
      for (const owner of each)
        if (isObject(owner)) names.add("name", owner["name"]);
        else if (/^(?:initC|ephemeralC|c)ontainers$/.test(key) && Array.isArray(each))
          for (const container of each) if (isObject(container)) names.add("name", container["name"]);
    walk(each, names);
  }
}

/** Adds the names in one file of cluster/, `pods` for cluster/pods.json. */
export function namesOfObjects(resource: string, list: Json, names: Names): void {
  const items = isObject(list) && Array.isArray(list["items"]) ? list["items"] : [];
  const kind = POLICIES.test(resource) ? "policy" : (RESOURCES[resource] ?? "name");
  for (const item of items) {
    const meta = isObject(item) && isObject(item["metadata"]) ? item["metadata"] : {};
    if (!NAMED_BY_RULE.test(resource)) names.add(kind, meta["name"]);
    if (typeof meta["generateName"] === "string") names.add("name", meta["generateName"].replace(/-+$/, ""));
    walk(item, names);
  }
}

/** Adds the names of machines in snapshot.json and fabric.json. */
export function namesOfMachines(document: Json, names: Names): void {
  if (!isObject(document)) return;
  for (const key of ["nodes", "routers", "external"]) {
    const list = document[key];
    if (Array.isArray(list)) for (const name of list) names.add("node", name);
  }
}

/** Adds the pod of a netns.json. */
export function namesOfNamespace(document: Json, names: Names): void {
  const pod = isObject(document) ? document["pod"] : null;
  if (!isObject(pod)) return;
  names.add("ns", pod["namespace"]);
  names.add("pod", pod["name"]);
}

/** Adds the domains that a resolv.conf searches beside the cluster's own. */
export function namesOfResolver(text: string, names: Names): void {
  for (const line of text.split("\n")) {
    if (!/^(?:search|domain)\s/.test(line)) continue;
    for (const domain of line.trim().split(/\s+/).slice(1)) {
      const own = /^([a-z0-9-]+)\.svc\.|^svc\./.exec(domain);
      if (own === null) names.add("domain", domain.replace(/\.$/, ""));
      else names.add("ns", own[1]);
    }
  }
}
