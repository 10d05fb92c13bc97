/** Who a netfilter rule belongs to, as far as its place tells: the programs of the cluster's network keep their rules in chains of their own. */
import type { Step } from "../model/walk.ts";
import { sourceKey, type Death } from "./deaths.ts";

/**
 * Chains and tables of kube-proxy and kubelet (KUBE-), Calico (cali), Cilium, flannel, portmap and the other CNI plugins, kube-router,
 * Antrea, OVN-Kubernetes and Weave's policy controller. What is dropped there is a Service without endpoints, a policy, or theirs to explain.
 */
const OF_THE_CLUSTER =
  /^(KUBE-|cali|CILIUM_|OLD_CILIUM|FLANNEL|flannel|CNI-|ANTREA|WEAVE|kube-proxy|cilium|antrea|ovn-kube|kube-network-policies)/;

/** Whether a program of the cluster's network owns the chain that decided. */
export function isOfCluster(step: Pick<Step, "chain" | "table">): boolean {
  return OF_THE_CLUSTER.test(step.chain ?? "") || OF_THE_CLUSTER.test(step.table ?? "");
}

/** Whether a packet died because its sender is not where it came from: by rp_filter or by a rule that asks the same. */
export function isReversePath(death: Death): boolean {
  return death.disposition === "rp-filter" || /rpfilter|fib saddr/.test(fatalRule(death)?.text ?? "");
}

/** The rule or policy that a packet died of; undefined when it was something else. */
export function fatalRule(death: Death): Step | undefined {
  if (death.source === undefined) return undefined;
  const key = sourceKey(death.source);
  return death.path.findLast(
    (step) =>
      (step.kind === "rule" || step.kind === "policy") && step.source !== undefined && sourceKey(step.source) === key,
  );
}
