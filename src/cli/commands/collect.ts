/** `kubewalk collect`: a snapshot of a cluster, of machines through ssh, of this machine. */
import { collectBySsh, collectFromApi, collectHere } from "../../host/collect/collect.ts";
import type { Kube, KubeFlags } from "../../host/collect/kube/connection.ts";
import { nodeScript } from "../../host/collect/node-script.ts";
import type { Host } from "../define/shared.ts";
import { EXIT } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import { inWords, taking, type TakingOptions } from "./taking.ts";

/** Where pods are made that nobody named a namespace for: it is exempt from admission rules that refuse privileged ones, as a rule. */
const NAMESPACE = "kube-system";

/** Seconds for an ssh connection to be made. */
const SSH_PATIENCE = 10;

/** Prints the script that runs on nodes. */
export async function printScript(io: Io): Promise<number> {
  await io.out.write(nodeScript());
  return EXIT.answered;
}

async function connected(flags: KubeFlags): Promise<Kube> {
  const { connect } = await import("../../host/collect/kube/connection.ts");
  return connect(flags);
}

/** A connection when a flag or KUBECONFIG asks for one: ways without the API server use it for the cluster's objects alone. */
async function connectedIfAsked(flags: KubeFlags, io: Io): Promise<Kube | null> {
  const { kubeconfig, context, cluster, server } = flags;
  const asked = [kubeconfig, context, cluster, server].some((flag) => flag !== undefined);
  return asked || (io.env["KUBECONFIG"] ?? "") !== "" ? connected(flags) : null;
}

/** Through the API server. Resolves to the exit status. Rejects with UsageError for what cannot be reached or written. */
export async function collectApi(
  by: { kind: "exec-pod"; selector: string } | { kind: "debug-pod"; image: string | null },
  only: readonly string[] | null,
  flags: KubeFlags,
  options: TakingOptions,
  host: Host,
): Promise<number> {
  const kube = await inWords(() => connected(flags));
  const { DEFAULT_IMAGE } = await import("../../host/collect/kube/debug-pod.ts");
  const given = kube.namespaceGiven ? kube.namespace : null;
  return taking(options, host, (common) =>
    collectFromApi({
      ...common,
      kube,
      only,
      by:
        by.kind === "exec-pod"
          ? { ...by, namespace: given }
          : { kind: by.kind, namespace: given ?? NAMESPACE, image: by.image ?? DEFAULT_IMAGE },
    }),
  );
}

/** Through ssh; `command` is ssh with its options. Resolves and rejects as `collectApi`. */
export async function collectSsh(
  targets: readonly string[],
  command: readonly string[],
  flags: KubeFlags,
  options: TakingOptions,
  host: Host,
): Promise<number> {
  const kube = await inWords(() => connectedIfAsked(flags, host.io));
  const ssh = { command, connectTimeout: SSH_PATIENCE };
  return taking(options, host, (common) => collectBySsh(targets, ssh, host.io.env, kube, common));
}

/** This machine. Resolves and rejects as `collectApi`. */
export async function collectLocal(flags: KubeFlags, options: TakingOptions, host: Host): Promise<number> {
  const kube = await inWords(() => connectedIfAsked(flags, host.io));
  return taking(options, host, (common) => collectHere(host.io.env, kube, common));
}

/** Removes pods that were left, and prints their names. Rejects with UsageError. */
export async function removeLeftPods(flags: KubeFlags, io: Io): Promise<number> {
  const removed = await inWords(async () => {
    const kube = await connected(flags);
    const { cleanUp } = await import("../../host/collect/kube/debug-pod.ts");
    return cleanUp(kube, kube.namespaceGiven ? kube.namespace : NAMESPACE, null);
  });
  await io.out.write(lines(removed.map((name) => `removed ${name}`)));
  await io.err.write(removed.length === 0 ? "nothing was left\n" : "");
  return EXIT.answered;
}
