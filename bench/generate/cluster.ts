/**
 * A healthy cluster of any size, as the files of a snapshot: flannel over VXLAN, kube-proxy v1.34 in iptables mode, one layer 2 segment. Names,
 * addresses, rules and listings are as recordings of such clusters have them. Files are made when they are read, as all of them would take
 * gigabytes; equal sizes give equal files.
 */
import type { SnapshotFiles } from "../../src/core/parse/snapshot.ts";
import { commandsJson, configFiles, HOST_FILES, hostFile } from "./cluster-host.ts";
import { clusterFiles, fabricJson, snapshotJson } from "./cluster-objects.ts";
import { planCluster, type ClusterPlan, type ClusterSize, type PlannedNode } from "./cluster-plan.ts";
import { POD_FILES, podFile } from "./cluster-pod.ts";
import { RulesPrinter } from "./cluster-rules.ts";
import { SysctlPrinter } from "./sysctls.ts";

export type { ClusterSize } from "./cluster-plan.ts";

function* pathsOf(plan: ClusterPlan, objects: Iterable<string>): Generator<string> {
  yield "snapshot.json";
  yield "fabric.json";
  for (const name of objects) yield `cluster/${name}`;
  for (const node of plan.nodes) {
    const dir = `nodes/${node.name}`;
    yield `${dir}/commands.json`;
    for (const name of HOST_FILES) yield `${dir}/host/${name}`;
    for (const pod of node.pods) for (const name of POD_FILES) yield `${dir}/netns/${pod.inode}/${name}`;
    for (const name of configFiles(node).keys()) yield `${dir}/${name}`;
  }
}

/** The files of a cluster of this size. Throws RangeError for what the networks do not hold. */
export function generateCluster(size: ClusterSize): SnapshotFiles {
  const plan = planCluster(size);
  const rules = new RulesPrinter(plan);
  const sysctls = new SysctlPrinter();
  const nodes = new Map(plan.nodes.map((node) => [node.name, node]));
  const objects = clusterFiles(plan);
  const ofNode = (node: PlannedNode, folder: string, rest: readonly string[]): string | undefined => {
    const [first = "", second = ""] = rest;
    if (folder === "commands.json") return commandsJson(node, plan);
    if (folder === "host") return hostFile(plan, node, first, rules, sysctls);
    if (folder === "netns") {
      const pod = node.pods[Number(first) - (node.pods[0]?.inode ?? 0)];
      return pod === undefined ? undefined : podFile(node, pod, second, sysctls);
    }
    return configFiles(node).get([folder, ...rest].join("/"));
  };
  return {
    paths: () => pathsOf(plan, objects.keys()),
    read(path) {
      const [top = "", name = "", folder = "", ...rest] = path.split("/");
      if (path === "snapshot.json") return snapshotJson(plan);
      if (path === "fabric.json") return fabricJson(plan);
      if (top === "cluster") return objects.get(name)?.();
      const node = top === "nodes" ? nodes.get(name) : undefined;
      return node === undefined ? undefined : ofNode(node, folder, rest);
    },
  };
}
