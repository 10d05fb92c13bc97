/** Why a Service has no endpoint that is ready, as the cluster's objects tell it. */
import type { Pod, Service, ServicePort } from "../model/cluster.ts";
import type { Chart } from "./chart.ts";
import { list, object } from "../networks/raw.ts";
import { podsIn, selectedPods, workloadsOf } from "./selector.ts";
import type { Evidence } from "./types.ts";

export interface Endpointless {
  /**
   * unready: pods are there, none is ready; port: ready pods have no port of the name; misspelt: pods have almost these labels;
   * unmade: a workload should have made pods; paused: its workload has zero replicas on purpose; nothing: nothing would ever match;
   * manual: without a selector nobody writes endpoints but its owner.
   */
  why: "unready" | "port" | "misspelt" | "unmade" | "paused" | "nothing" | "manual";
  /** Completes "… has no endpoint that is ready: ". */
  text: string;
  evidence: Evidence[];
  remedy: string[];
}

/** Whether two words differ by one slip: two letters swapped, one left out or doubled; in longer words also one that is wrong. */
function oneSlip(x: string, y: string): boolean {
  if (x === y || Math.min(x.length, y.length) < 3) return false;
  if (x.toLowerCase() === y.toLowerCase()) return true;
  let from = 0;
  while (from < x.length && x[from] === y[from]) from++;
  let xEnd = x.length;
  let yEnd = y.length;
  while (xEnd > from && yEnd > from && x[xEnd - 1] === y[yEnd - 1]) {
    xEnd--;
    yEnd--;
  }
  const a = x.slice(from, xEnd);
  const b = y.slice(from, yEnd);
  if (a.length + b.length === 1) return true;
  if (a.length === 2 && b.length === 2) return a[0] === b[1] && a[1] === b[0];
  return a.length === 1 && b.length === 1 && x.length >= 6;
}

/** A pod that the selector would take if one of its values were spelt otherwise. */
function almost(chart: Chart, service: Service): { pod: Pod; key: string; value: string; meant: string } | null {
  const terms = Object.entries(service.selector);
  const seen = new Set<string>();
  for (const pod of podsIn(chart.snapshot, service.namespace)) {
    const shape = terms.map(([key]) => pod.labels[key] ?? "").join("\0");
    if (seen.has(shape)) continue;
    seen.add(shape);
    const wrong = terms.filter(([key, value]) => pod.labels[key] !== value);
    const [first] = wrong;
    const meant = first === undefined ? undefined : pod.labels[first[0]];
    if (wrong.length === 1 && first !== undefined && meant !== undefined && oneSlip(first[1], meant))
      return { pod, key: first[0], value: first[1], meant };
  }
  return null;
}

const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

/** Why `service` has nobody behind it; `port` when only this port has nobody. */
export function whyEndpointless(chart: Chart, service: Service, port?: ServicePort): Endpointless {
  const { snapshot } = chart;
  const { namespace, name } = service;
  const own: Evidence = chart.evidence(
    service.source,
    `Service ${namespace}/${name} selects ${labelText(service.selector) || "nothing"}`,
  );
  const selector = labelText(service.selector);
  if (selector === "")
    return {
      why: "manual",
      text: "it has no selector, and nobody wrote an EndpointSlice with a ready endpoint",
      evidence: [own],
      remedy: [`kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name} -o yaml`],
    };
  const selected = selectedPods(snapshot, service);
  const pods = selected.filter((pod) => pod.phase !== "Succeeded" && pod.phase !== "Failed");
  const ready = pods.filter((pod) => pod.ready && !pod.terminating);
  const podEvidence = (pod: Pod): Evidence =>
    chart.evidence(
      pod.source,
      `Pod ${pod.namespace}/${pod.name}: ${pod.phase}${pod.terminating ? ", terminating" : pod.ready ? ", ready" : ", not ready"}`,
    );
  const target = port?.targetPort;
  if (ready.length > 0 && typeof target === "string" && !ready.some((pod) => pod.ports.some((p) => p.name === target)))
    return {
      why: "port",
      text: `its targetPort "${target}" is no port of the ${ready.length === 1 ? "pod" : `${ready.length} pods`} that it selects`,
      evidence: [own, ...ready.slice(0, 3).map(podEvidence)],
      remedy: [`kubectl -n ${namespace} edit service ${name}   # targetPort: a port name that the pods have`],
    };
  if (pods.length > 0)
    return {
      why: "unready",
      text:
        ready.length > 0
          ? `${ready.length} of the ${pods.length} pods that it selects are ready, but no EndpointSlice names them`
          : `none of the ${pods.length} pods that it selects is ready`,
      evidence: [own, ...pods.slice(0, 3).map(podEvidence)],
      remedy: [
        `kubectl -n ${namespace} get pods -l ${selector} -o wide`,
        `kubectl -n ${namespace} describe pods -l ${selector}`,
      ],
    };
  if (selected.length > 0)
    return {
      why: "paused",
      text: `the ${selected.length === 1 ? "pod" : `${selected.length} pods`} that it selects ${selected.length === 1 ? "has" : "have"} ended`,
      evidence: [own, ...selected.slice(0, 3).map(podEvidence)],
      remedy: [`kubectl -n ${namespace} get pods -l ${selector.replaceAll(", ", ",")}`],
    };
  const [workload] = workloadsOf(snapshot, service);
  if (workload !== undefined) {
    const at = workload.source;
    const title = `${workload.kind} ${workload.name}`;
    const evidence = [
      own,
      ...(at === null
        ? []
        : [chart.evidence(at, `${title}${workload.replicas === null ? "" : `: replicas ${workload.replicas}`}`)]),
    ];
    if (workload.replicas === 0)
      return {
        why: "paused",
        text: `${title} has no replicas`,
        evidence,
        remedy: [`kubectl -n ${namespace} scale ${workload.kind} ${workload.name} --replicas=2`],
      };
    return {
      why: "unmade",
      text: `${title} has made no pod`,
      evidence,
      remedy: [`kubectl -n ${namespace} describe ${workload.kind} ${workload.name}`],
    };
  }
  const near = almost(chart, service);
  if (near !== null)
    return {
      why: "misspelt",
      text: `no pod has the label ${near.key}=${near.value}; there are pods with ${near.key}=${near.meant}`,
      evidence: [
        own,
        chart.evidence(near.pod.source, `Pod ${near.pod.namespace}/${near.pod.name} has ${near.key}=${near.meant}`),
      ],
      remedy: [
        `kubectl -n ${namespace} patch service ${name} -p '${JSON.stringify({ spec: { selector: { [near.key]: near.meant } } })}'`,
      ],
    };
  return {
    why: "nothing",
    text: `no pod has the labels ${selector}`,
    evidence: [own],
    remedy: [
      `kubectl -n ${namespace} get pods --show-labels   # then mend the selector of service ${name}, or start the pods`,
    ],
  };
}

/** Services that an Ingress sends to, as `NAMESPACE/NAME`. */
export function ingressBackends(chart: Chart): ReadonlySet<string> {
  const found = new Set<string>();
  for (const item of chart.snapshot.cluster.raw.get("ingresses.networking.k8s.io") ?? []) {
    const { metadata, spec } = object(item);
    const namespace = object(metadata)["namespace"];
    const backends = [
      object(spec)["defaultBackend"],
      ...list(object(spec)["rules"]).flatMap((rule) =>
        list(object(object(rule)["http"])["paths"]).map((path) => object(path)["backend"]),
      ),
    ];
    for (const backend of backends) {
      const name = object(object(backend)["service"])["name"];
      if (typeof name === "string" && typeof namespace === "string") found.add(`${namespace}/${name}`);
    }
  }
  return found;
}
