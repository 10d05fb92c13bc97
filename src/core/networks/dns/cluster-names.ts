/** The cluster's objects by the keys that CoreDNS looks them up by (plugin/kubernetes/controller.go). */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Cluster, Service } from "../../model/cluster.ts";
import { textAt } from "../raw-paths.ts";

/** An endpoint as CoreDNS keeps it: ready ones only (object/endpoint.go, endpointsliceReady). */
export interface NamedEndpoint {
  address: string;
  hostname: string | null;
  pod: string | null;
  /** Port −1 when the slice declares none: then there are addresses, but no SRV records. */
  ports: { name: string; port: number; protocol: string }[];
}

export interface ClusterNames {
  services: ReadonlyMap<string, Service>;
  /** By `namespace/name` of the Service. */
  endpoints: ReadonlyMap<string, NamedEndpoint[]>;
  namespaces: ReadonlySet<string>;
  /** `namespace` of the pods that have an address (pods verified). */
  podsByAddress: ReadonlyMap<string, string[]>;
}

/** An address in one form, so that two spellings of it are the same key. */
export function addressKey(text: string): string {
  const ip = parseIp(text);
  return ip === null ? text : formatIp(ip);
}

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** Indexes a cluster. Namespaces that were not recorded are those that its objects name. */
export function clusterNames(cluster: Cluster): ClusterNames {
  const endpoints = new Map<string, NamedEndpoint[]>();
  for (const slice of cluster.endpointSlices) {
    if (slice.service === null || slice.addressType === "FQDN") continue;
    const declared = slice.ports.map((port) => ({ name: port.name, port: port.port ?? 0, protocol: port.protocol }));
    const ports = declared.length > 0 ? declared : [{ name: "", port: -1, protocol: "" }];
    for (const endpoint of slice.endpoints) {
      if (!endpoint.ready) continue;
      for (const address of endpoint.addresses)
        push(endpoints, `${slice.namespace}/${slice.service}`, {
          address: addressKey(address),
          hostname: endpoint.hostname,
          pod: endpoint.pod?.name ?? null,
          ports,
        });
    }
  }
  const recorded = cluster.raw.get("namespaces");
  const namespaces = new Set(
    recorded === undefined
      ? [...cluster.services, ...cluster.pods].map((object) => object.namespace)
      : recorded.map((each) => textAt(each, "metadata", "name")).filter((name) => name !== null),
  );
  const podsByAddress = new Map<string, string[]>();
  for (const pod of cluster.pods)
    if (pod.phase !== "Succeeded" && pod.phase !== "Failed")
      for (const ip of pod.ips) push(podsByAddress, addressKey(ip), pod.namespace);
  return {
    services: new Map(cluster.services.map((service) => [`${service.namespace}/${service.name}`, service])),
    endpoints,
    namespaces,
    podsByAddress,
  };
}

/** The label of an endpoint under its Service: hostname, pod name (endpoint_pod_names), or the address with dashes (endpointHostname). */
export function endpointLabel(endpoint: NamedEndpoint, podNames: boolean): string {
  return endpoint.hostname || (podNames && endpoint.pod) || endpoint.address.replaceAll(/[.:]/g, "-");
}
