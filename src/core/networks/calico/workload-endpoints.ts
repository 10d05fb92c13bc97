/** Pods as Calico's workload endpoints (conversion/workload_endpoint_default.go; updateprocessors/workloadendpointprocessor.go). */
import { formatIp, parseIp, type Ip } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import { list, object, text, textMap, whole, type Raw } from "../raw.ts";
import { hostDeviceName } from "./names.ts";
import {
  NAMESPACE_LABEL,
  NAMESPACE_PREFIX,
  ORCHESTRATOR_LABEL,
  SERVICE_ACCOUNT_LABEL,
  SERVICE_ACCOUNT_PREFIX,
} from "./rule.ts";

export interface NamedPort {
  name: string;
  protocol: "tcp" | "udp" | "sctp";
  port: number;
}

export interface WorkloadEndpoint {
  namespace: string;
  pod: string;
  node: string;
  /** Its device on the host. */
  device: string;
  addresses: Ip[];
  /** Its own labels. */
  labels: ReadonlyMap<string, string>;
  /** `kns.NAMESPACE`, `ksa.NAMESPACE.ACCOUNT`: whose labels it inherits, and whose rules apply where no policy does. */
  profiles: string[];
  ports: NamedPort[];
  /** Addresses that are translated to its own: from outside and, for itself, back. */
  floatingIPs: { external: string; internal: string }[];
  /** Sources other than its own that it may send from. */
  spoofable: string[];
}

/** Containers of a pod that is over keep their addresses no longer (conversion.go, IsFinished). */
function isFinished(meta: Raw, phase: string, annotations: Record<string, string>): boolean {
  if (text(meta["deletionTimestamp"]) !== null && annotations["cni.projectcalico.org/podIP"] === "") return true;
  return phase === "Failed" || phase === "Succeeded" || phase === "Completed";
}

/** getPodIPs: the kubelet's word, else that of the CNI plugin. */
function addressesOf(status: Raw, annotations: Record<string, string>): Ip[] {
  const many = list(status["podIPs"]).map((each) => text(object(each)["ip"]) ?? "");
  const one = text(status["podIP"]);
  const noted = annotations["cni.projectcalico.org/podIPs"] || annotations["cni.projectcalico.org/podIP"] || "";
  const given = many.length > 0 ? many : one !== null ? [one] : noted.split(",");
  return given.map((each) => parseIp(each.split("/", 1)[0] ?? "")).filter((ip) => ip !== null);
}

const PROTOCOLS: Record<string, NamedPort["protocol"]> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

function namedPorts(spec: Raw): NamedPort[] {
  return [...list(spec["containers"]), ...list(spec["initContainers"])]
    .flatMap((container) => list(object(container)["ports"]))
    .flatMap((each): NamedPort[] => {
      const name = text(object(each)["name"]);
      const port = whole(object(each)["containerPort"]);
      const protocol = PROTOCOLS[text(object(each)["protocol"]) ?? "TCP"];
      return name === null || !port || protocol === undefined ? [] : [{ name, port, protocol }];
    });
}

/** A list of texts in an annotation; empty when it is absent or no such list. */
function listOf(annotation: string | undefined): string[] {
  if (annotation === undefined || annotation === "") return [];
  try {
    return list(JSON.parse(annotation)).filter((each) => typeof each === "string");
  } catch {
    return [];
  }
}

function floating(annotation: string | undefined, addresses: readonly Ip[]): WorkloadEndpoint["floatingIPs"] {
  return listOf(annotation).flatMap((external) => {
    const ip = parseIp(external);
    const internal = addresses.find((each) => each.v === ip?.v);
    return ip === null || internal === undefined ? [] : [{ external: formatIp(ip), internal: formatIp(internal) }];
  });
}

function endpointOf(item: unknown, devicePrefix: string): WorkloadEndpoint | null {
  const meta = object(object(item)["metadata"]);
  const spec = object(object(item)["spec"]);
  const status = object(object(item)["status"]);
  const namespace = text(meta["namespace"]) ?? "";
  const pod = text(meta["name"]);
  const node = text(spec["nodeName"]);
  if (pod === null || node === null || spec["hostNetwork"] === true) return null;
  const annotations = textMap(meta["annotations"]);
  if (isFinished(meta, text(status["phase"]) ?? "", annotations)) return null;
  const addresses = addressesOf(status, annotations);
  // An endpoint without addresses is not passed on to Felix.
  if (addresses.length === 0) return null;
  const account = text(spec["serviceAccountName"]);
  // Labels that would be taken for a namespace's or an account's are not the pod's to give.
  const labels = new Map(
    Object.entries(textMap(meta["labels"])).filter(
      ([key]) => !key.startsWith(NAMESPACE_PREFIX) && !key.startsWith(SERVICE_ACCOUNT_PREFIX),
    ),
  );
  labels.set(NAMESPACE_LABEL, namespace).set(ORCHESTRATOR_LABEL, "k8s");
  if (account !== null) labels.set(SERVICE_ACCOUNT_LABEL, account);
  return {
    namespace,
    pod,
    node,
    device: hostDeviceName(devicePrefix, namespace, pod),
    addresses,
    labels,
    profiles: [`kns.${namespace}`, ...(account === null ? [] : [`ksa.${namespace || "default"}.${account}`])],
    ports: namedPorts(spec),
    floatingIPs: floating(annotations["cni.projectcalico.org/floatingIPs"], addresses),
    spoofable: listOf(annotations["cni.projectcalico.org/allowedSourcePrefixes"]),
  };
}

/** The cluster's pods that have a network of their own and addresses; `devicePrefix` begins the names of their devices. */
export function workloadEndpoints(cluster: Cluster, devicePrefix: string): WorkloadEndpoint[] {
  return (cluster.raw.get("pods") ?? [])
    .map((item) => endpointOf(item, devicePrefix))
    .filter((endpoint) => endpoint !== null);
}
