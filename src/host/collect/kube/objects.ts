/** The cluster's objects: which resources are read, and how. */
import { KubeError } from "./kube-error.ts";
import type { Kube } from "./connection.ts";

export type ClusterObject = Record<string, unknown>;

export interface Resource {
  /** Name of the file without .json: `pods`, `daemonsets.apps`. */
  file: string;
  /** `/api/v1/pods`. */
  path: string;
  kind: string;
  apiVersion: string;
  /** Whether an empty list is worth a file. */
  always: boolean;
}

const core = (plural: string, kind: string): Resource => ({
  file: plural,
  path: `/api/v1/${plural}`,
  kind,
  apiVersion: "v1",
  always: true,
});

const grouped = (group: string, version: string, plural: string, kind: string): Resource => ({
  file: `${plural}.${group}`,
  path: `/apis/${group}/${version}/${plural}`,
  kind,
  apiVersion: `${group}/${version}`,
  always: true,
});

/** What every cluster has. Never Secrets. */
export const RESOURCES: readonly Resource[] = [
  core("nodes", "Node"),
  core("pods", "Pod"),
  core("services", "Service"),
  core("namespaces", "Namespace"),
  grouped("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
  grouped("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
  grouped("networking.k8s.io", "v1", "ingresses", "Ingress"),
  grouped("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR"),
  grouped("apps", "v1", "deployments", "Deployment"),
  grouped("apps", "v1", "daemonsets", "DaemonSet"),
];

/** API groups of networks, whose every resource that can be listed is read. */
const NETWORKS = /(?:^|\.)(?:projectcalico\.org|cilium\.io|metallb\.(?:io|universe\.tf)|nmstate\.io)$/;

/** Aggregated groups that only repeat what the CRDs hold. */
const REPEATED = /^projectcalico\.org$/;

/** Of these, or with such names, resources hold secrets or are too many and say nothing of the network. */
const NEVER = /secret|authorizationreview/i;

const objectsIn = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value)
    ? value.filter((each): each is Record<string, unknown> => typeof each === "object" && each !== null)
    : [];

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Resources of the networks that the cluster has. Rejects with KubeError. */
export async function networkResources(kube: Kube, signal: AbortSignal): Promise<Resource[]> {
  const groups = objectsIn((await kube.request("GET", "/apis", undefined, signal))["groups"]);
  const wanted = groups.filter(({ name }) => NETWORKS.test(text(name)) && !REPEATED.test(text(name)));
  const found = await Promise.all(
    wanted.map(async (group): Promise<Resource[]> => {
      const preferred = group["preferredVersion"] as Record<string, unknown> | undefined;
      const apiVersion = text(preferred?.["groupVersion"]);
      const list = objectsIn((await kube.request("GET", `/apis/${apiVersion}`, undefined, signal))["resources"]);
      return list
        .filter(
          ({ name, verbs }) =>
            !text(name).includes("/") && !NEVER.test(text(name)) && Array.isArray(verbs) && verbs.includes("list"),
        )
        .map(({ name, kind }) => ({
          file: `${text(name)}.${text(group["name"])}`,
          path: `/apis/${apiVersion}/${text(name)}`,
          kind: text(kind),
          apiVersion,
          always: false,
        }));
    }),
  );
  return found.flat().toSorted((a, b) => (a.file < b.file ? -1 : 1));
}

/** So many objects are asked for at once. */
const PAGE = 500;

/** The objects of a resource in all namespaces, page by page. Rejects with KubeError. */
export async function* pages(
  kube: Kube,
  resource: Resource,
  signal: AbortSignal,
): AsyncGenerator<ClusterObject[], void, undefined> {
  let token = "";
  for (;;) {
    const query = `limit=${PAGE}${token === "" ? "" : `&continue=${encodeURIComponent(token)}`}`;
    const list = await kube.request("GET", `${resource.path}?${query}`, undefined, signal);
    if (!Array.isArray(list["items"])) throw new KubeError(`${resource.path}: the answer is no list`, null);
    yield objectsIn(list["items"]);
    const meta = list["metadata"];
    token = typeof meta === "object" && meta !== null ? text((meta as Record<string, unknown>)["continue"]) : "";
    if (token === "") return;
  }
}
