/** A cluster of which nodes are collected one after another, as they are asked for. */
import { randomBytes } from "node:crypto";
import type { Snapshot } from "../../core/model/snapshot.ts";
import { assembleSnapshot } from "../../core/parse/snapshot.ts";
import { gather, type NodeResult } from "../collect/gather.ts";
import { readCluster, type ClusterFiles } from "../collect/kube/cluster-files.ts";
import type { Kube } from "../collect/kube/connection.ts";
import { cleanUp } from "../collect/kube/debug-pod.ts";
import { debugPodSource, existingPodSources } from "../collect/kube/pod-source.ts";
import { memorySink } from "../collect/sink.ts";
import { NodeError, type NodeSource } from "../collect/source.ts";
import { snapshotJson } from "../collect/summary.ts";

export interface LiveOptions {
  /** By pods that are there already, or by pods that are made (and removed again). */
  by:
    | { kind: "exec-pod"; namespace: string | null; selector: string }
    | { kind: "debug-pod"; namespace: string; image: string };
  /** Which of the cluster's resources are read: what walks need, or all. */
  resources: "walk" | "all";
  /** How many nodes at a time. */
  parallel: number;
  /** Milliseconds for one node. */
  timeout: number;
  /** Version of the command, for snapshot.json. */
  version: string;
  signal: AbortSignal;
  onNode: (result: NodeResult) => void;
}

/** What names and addresses are resolved by; walks need nothing else of the cluster. */
const OF_WALKS: ReadonlySet<string> = new Set(["nodes", "pods", "services", "endpointslices.discovery.k8s.io"]);

export class LiveCluster {
  private readonly results = new Map<string, NodeResult>();
  /** Nodes of which not all pods were asked for. */
  private readonly narrow = new Set<string>();

  private constructor(
    private readonly kube: Kube,
    private readonly options: LiveOptions,
    private readonly sink: ReturnType<typeof memorySink>,
    private readonly cluster: ClusterFiles,
    private readonly sources: ReadonlyMap<string, NodeSource>,
    private readonly run: string,
  ) {}

  /** Reads the cluster's objects. Rejects with KubeError when the API server cannot be asked, with NodeError when there is no pod to use. */
  static async open(kube: Kube, options: LiveOptions): Promise<LiveCluster> {
    const sink = memorySink();
    const { by, signal } = options;
    const run = randomBytes(6).toString("hex");
    const cluster = await readCluster(kube, sink, signal, options.resources === "walk" ? OF_WALKS : null);
    // Without these nobody knows who is asked about, and where.
    for (const resource of ["nodes", "pods"]) {
      const why = cluster.missing.get(resource);
      if (why !== undefined) throw new NodeError(why);
    }
    if (cluster.nodes.length === 0) throw new NodeError("the cluster has no nodes");
    const sources =
      by.kind === "exec-pod"
        ? await existingPodSources(kube, by, signal)
        : cluster.nodes.map((node) => debugPodSource(kube, node, { ...by, run }));
    return new LiveCluster(kube, options, sink, cluster, new Map(sources.map((each) => [each.label, each])), run);
  }

  /** Nodes that can be collected. */
  nodes(): string[] {
    return [...this.sources.keys()];
  }

  /** Whether the node has been asked, whatever came of it. */
  wasAsked(node: string): boolean {
    return this.results.has(node);
  }

  /** Nodes that were asked, and what went wrong with them. */
  failed(): NodeResult[] {
    return [...this.results.values()].filter((each) => each.state !== "whole");
  }

  /**
   * Collects those of `nodes` that were not asked before: with `pods` (NAMESPACE/NAME) only the node itself and these, else those that were
   * asked for less, too. Resolves to whether there were any.
   */
  async collect(nodes: Iterable<string>, pods: ReadonlySet<string> | null): Promise<boolean> {
    const sources = [...new Set(nodes)]
      .filter((node) => !this.results.has(node) || (pods === null && this.narrow.has(node)))
      .flatMap((node) => this.sources.get(node) ?? []);
    const { parallel, timeout, signal, onNode } = this.options;
    const found = await gather(sources, this.sink, {
      parallel,
      timeout,
      pods: this.cluster.pods,
      signal,
      live: true,
      extent: pods === null ? null : { pods },
      now: Date.now,
      onNode,
    });
    for (const [i, source] of sources.entries()) {
      this.results.set(source.label, found[i]!);
      if (pods === null) this.narrow.delete(source.label);
      else this.narrow.add(source.label);
    }
    return sources.length > 0;
  }

  /** What has been collected until now. */
  async snapshot(): Promise<Snapshot> {
    const { missing, removed, kubernetes } = this.cluster;
    const nodes = [...this.results.values()];
    const summary = snapshotJson({
      takenAt: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
      way: this.options.by.kind === "debug-pod" ? "api" : "exec-pod",
      version: this.options.version,
      kubernetes,
      nodes,
      missing,
      removed,
      interrupted: this.options.signal.aborted,
    });
    // Before any node was asked there are only the cluster's objects; a snapshot must have a node.
    const names = { format: "kubewalk.snapshot/v1", nodes: this.cluster.nodes.map((node) => node.name) };
    await this.sink.add("snapshot.json", Buffer.from(nodes.length === 0 ? JSON.stringify(names) : summary));
    return assembleSnapshot(this.sink.files);
  }

  /** Removes what an interruption may have left. */
  async close(): Promise<void> {
    const { by, signal } = this.options;
    if (by.kind === "debug-pod" && signal.aborted) await cleanUp(this.kube, by.namespace, this.run);
  }
}
