/** `walk --live`, `doctor --live`, `kubectl packet-walk`: of a cluster as it is now. */
import { version } from "../../../package.json";
import type { Snapshot } from "../../core/model/snapshot.ts";
import type { Answer } from "../../core/model/walk.ts";
import { createDirectory, type Directory } from "../../core/names/directory.ts";
import type { Asked } from "../../core/names/to.ts";
import type { Kube } from "../../host/collect/kube/connection.ts";
import { LiveCluster } from "../../host/live/live-cluster.ts";
import { behind, onTheWay, Owners, type OnTheWay } from "../../host/live/on-the-way.ts";
import type { LiveChoice } from "../define/live.ts";
import type { Host } from "../define/shared.ts";
import { sessionOf } from "../engine.ts";
import { EXIT, exitStatus } from "../exit.ts";
import { printerFor, type WalkOptions } from "../printer.ts";
import { resolve, type Extras, type Resolved } from "../resolve.ts";
import type { Session } from "../session.ts";
import { inWords } from "./taking.ts";

/** Where pods are made that nobody named a namespace for. */
const NAMESPACE = "kube-system";

/** Rounds of collecting and walking; each leads to nodes that the one before did not know. */
const MOST_ROUNDS = 8;

/** kubectl's words for kinds, and kubewalk's. */
const KINDS: Readonly<Record<string, "pod" | "svc" | "node">> = {
  pod: "pod",
  pods: "pod",
  po: "pod",
  svc: "svc",
  service: "svc",
  services: "svc",
  node: "node",
  nodes: "node",
  no: "node",
};

/** A name as kubectl's users write it (`svc/web:80`, `client-1`), with its namespace: `svc:shop/web:80`. Others as they are. */
export function inKubectlsWords(text: string, namespace: string, dir: Directory): string {
  const [, word, rest] = /^([a-z]+)[/:]([^/].*)$/.exec(text) ?? [];
  const kind = word === undefined ? undefined : KINDS[word];
  if (kind === "node") return `node:${rest}`;
  if (kind !== undefined && rest !== undefined) return `${kind}:${rest.includes("/") ? rest : `${namespace}/${rest}`}`;
  const name = text.replace(/:.*$/, "");
  // A plain name is a pod's, as for kubectl exec.
  return dir.pods.has(`${namespace}/${name}`) ? `pod:${namespace}/${text}` : text;
}

/** Where a walk from `from` begins: a node by its own name, or a pod and its node, also when a pod's name is only begun. */
function beginningOf(dir: Directory, from: string): OnTheWay {
  const name = from.replace(/^(?:pod|node):/, "");
  const found: OnTheWay = { nodes: new Set(), pods: new Set() };
  const [first = ""] = name.split("/", 1);
  if (dir.nodes.has(first)) found.nodes.add(first);
  for (const pod of dir.pods.values())
    if (pod.node !== null && (pod.id === name || pod.name === name || pod.id.startsWith(`${name}-`))) {
      found.nodes.add(pod.node);
      found.pods.add(pod.id);
    }
  return found;
}

function interruption(): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const before = process.listeners("SIGINT");
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(new Error("interrupted"));
  };
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    signal: controller.signal,
    end() {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      for (const listener of before) process.on("SIGINT", listener);
    },
  };
}

/** Connects and does `work`; pods that were made are gone when it ends. Resolves to 130 when it was interrupted. */
async function withCluster(
  choice: LiveChoice,
  resources: "walk" | "all",
  host: Host,
  work: (cluster: LiveCluster, kube: Kube) => Promise<number>,
): Promise<number> {
  const { signal, end } = interruption();
  const { connect, DEFAULT_IMAGE } = await connection();
  try {
    return await inWords(async () => {
      const kube = connect(choice.kube);
      const cluster = await LiveCluster.open(kube, {
        by:
          choice.execPod === null
            ? { kind: "debug-pod", namespace: NAMESPACE, image: choice.image ?? DEFAULT_IMAGE }
            : { kind: "exec-pod", namespace: null, selector: choice.execPod },
        resources,
        parallel: choice.parallel,
        timeout: choice.timeout,
        version,
        signal,
        onNode(node) {
          const text =
            node.state === "whole" ? `${node.label}: collected` : `warning: ${node.label}: ${node.error ?? ""}`;
          if (node.state !== "whole" || host.io.err.isTTY) void host.io.err.write(`${text}\n`).catch(() => undefined);
        },
      });
      try {
        return await work(cluster, kube);
      } finally {
        await cluster.close();
      }
    });
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    end();
  }
}

async function connection(): Promise<{
  connect: typeof import("../../host/collect/kube/connection.ts").connect;
  DEFAULT_IMAGE: string;
}> {
  const [{ connect }, { DEFAULT_IMAGE }] = await Promise.all([
    import("../../host/collect/kube/connection.ts"),
    import("../../host/collect/kube/debug-pod.ts"),
  ]);
  return { connect, DEFAULT_IMAGE };
}

/** An answer that hangs on nodes that could not be collected says so, instead of what their absence looks like. */
function honest(answer: Answer, owners: Owners, lost: ReadonlyMap<string, string>): Answer {
  if (lost.size === 0) return answer;
  const outcomes = answer.outcomes.map((outcome) => {
    const on = [...onTheWay({ ...answer, outcomes: [outcome] }, owners).nodes].filter((node) => lost.has(node));
    if (outcome.client === "answered" || on.length === 0) return outcome;
    const why = on.map((node) => `${node} could not be collected: ${lost.get(node)}`).join("; ");
    return {
      ...outcome,
      client: "inconclusive" as const,
      disposition: "inconclusive" as const,
      because: { text: why },
    };
  });
  const unsure = outcomes.some((outcome) => outcome.client === "inconclusive");
  return { ...answer, outcomes, verdict: unsure ? "inconclusive" : answer.verdict };
}

/** What is asked, asked with steps: they tell where the packet went. */
function answersOf(session: Session, resolved: Resolved, allRules: boolean): Answer[] {
  if ("answer" in resolved) return [resolved.answer];
  return resolved.questions.map(({ question }) => session.ask(question, { steps: true, allRules }));
}

function add(to: OnTheWay, { nodes, pods }: OnTheWay): void {
  for (const node of nodes) to.nodes.add(node);
  for (const pod of pods) to.pods.add(pod);
}

/**
 * Collects, walks and collects again, until the walk leads to no node that was not asked. Of pods only those on the way are asked; unless all
 * are answered by these, the rest of the nodes is collected, too, so that nothing is said for want of it.
 */
async function stepByStep(
  cluster: LiveCluster,
  namespace: string,
  words: { from: string; to: string },
  asked: Asked,
  extras: Extras,
  allRules: boolean,
): Promise<{ answers: Answer[]; snapshot: Snapshot }> {
  let snapshot = await cluster.snapshot();
  const owners = new Owners(snapshot);
  const first = createDirectory(snapshot);
  const from = inKubectlsWords(words.from, namespace, first);
  const to = inKubectlsWords(words.to, namespace, first);
  const way = beginningOf(first, from);
  const service = /^(?:svc:)?([^/:]+\/[^/:]+)/.exec(to)?.[1];
  const targets = first.services.get(service ?? "")?.clusterIPs ??
    first.pods.get(service ?? "")?.ips ?? [to.replace(/:\d+$/, "")];
  for (const address of targets) add(way, behind(snapshot, owners, address));
  await cluster.collect(way.nodes, way.pods);
  let answers: Answer[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    snapshot = await cluster.snapshot();
    const session = sessionOf(snapshot);
    answers = answersOf(session, resolve(createDirectory(snapshot), from, to, asked, extras), allRules);
    for (const answer of answers) add(way, onTheWay(answer, owners));
    if (await cluster.collect(way.nodes, way.pods)) continue;
    if (answers.every(({ verdict }) => verdict === "answered") || !(await cluster.collect(way.nodes, null))) break;
  }
  const lost = new Map(cluster.failed().map((node) => [node.label, node.error ?? "not wholly"]));
  return { answers: answers.map((answer) => honest(answer, owners, lost)), snapshot };
}

const withoutSteps = (answer: Answer): Answer => ({
  ...answer,
  outcomes: answer.outcomes.map((outcome) => {
    const { steps, ...rest } = outcome;
    return steps === undefined ? outcome : rest;
  }),
});

/** Walks in a live cluster. Resolves to the exit status. Rejects with UsageError for what cannot be asked or reached. */
export async function walkLive(
  from: string,
  to: string,
  asked: Asked,
  extras: Extras,
  options: WalkOptions,
  choice: LiveChoice,
  host: Host,
): Promise<number> {
  return withCluster(choice, "walk", host, async (cluster, kube) => {
    const { answers, snapshot } = await stepByStep(
      cluster,
      kube.namespace,
      { from, to },
      asked,
      extras,
      options.allRules,
    );
    const printer = printerFor(createDirectory(snapshot), options, host.io, answers.length > 1);
    const shown = options.steps || options.format === "text" ? answers : answers.map(withoutSteps);
    for (const answer of shown) await printer.print(answer, extras.mark ?? 0);
    await printer.end();
    return exitStatus(answers);
  });
}

/** Collects the whole cluster and examines it. Resolves and rejects as `walkLive`. */
export async function examineLive(
  choice: LiveChoice,
  host: Host,
  examine: (session: Session) => Promise<number>,
): Promise<number> {
  return withCluster(choice, "all", host, async (cluster) => {
    await cluster.collect(cluster.nodes(), null);
    return examine(sessionOf(await cluster.snapshot()));
  });
}
