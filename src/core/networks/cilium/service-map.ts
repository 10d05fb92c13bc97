/**
 * Cilium's service and backend maps as the objects ask for them: which frontends there are, and which backends each is shared among
 * (pkg/loadbalancer; cilium_lb4_services_v2, cilium_lb4_backends_v3 and their IPv6 twins).
 */
import type { Cluster, Service, ServicePort } from "../../model/cluster.ts";
import { addressKey } from "../dns/cluster-names.ts";
import type { Machine, Site } from "../site.ts";
import { ciliumConfig, type CiliumConfig } from "./config.ts";
import { ciliumNodes, nodeAddresses } from "./objects.ts";

export type FrontendKind = "ClusterIP" | "NodePort" | "ExternalIPs" | "LoadBalancer" | "HostPort" | "LocalRedirect";

export interface Frontend {
  kind: FrontendKind;
  /** `0.0.0.0` and `::` stand for every address of the node. */
  address: string;
  port: number;
  /** TCP, UDP, SCTP; ANY in releases before 1.17, which did not tell them apart. */
  protocol: string;
  /** `internal`: for clients in the cluster, when they have other backends than those outside. */
  scope: "external" | "internal";
  sessionAffinity: boolean;
  /** `10.0.1.7:8080`, sorted. */
  backends: string[];
  /** `namespace/name:port` of the Service; null when a recorded map does not tell. */
  service: string | null;
}

/** Address and port in the form of the maps: IPv6 in brackets. */
function hostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Key of a frontend for comparing; the protocol counts only when both sides tell it. */
export function frontendKey(
  frontend: Pick<Frontend, "address" | "port" | "protocol" | "scope">,
  withProtocol: boolean,
): string {
  const inner = frontend.scope === "internal" ? "/i" : "";
  return `${hostPort(frontend.address, frontend.port)}${withProtocol ? `/${frontend.protocol}` : ""}${inner}`;
}

interface Backend {
  address: string;
  node: string | null;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  port: number;
}

/** Endpoints of a Service's port, of one family. */
function backendsOf(cluster: Cluster, service: Service, port: ServicePort, family: 4 | 6): Backend[] {
  return cluster.endpointSlices
    .filter(
      (slice) =>
        slice.namespace === service.namespace &&
        slice.service === service.name &&
        slice.addressType === (family === 4 ? "IPv4" : "IPv6"),
    )
    .flatMap((slice) => {
      const match = slice.ports.find((each) => each.name === port.name && each.protocol === port.protocol);
      if (match?.port == null) return [];
      return slice.endpoints.flatMap((endpoint) =>
        endpoint.addresses.map((address) => ({
          address: addressKey(address),
          node: endpoint.node,
          ready: endpoint.ready,
          serving: endpoint.serving,
          terminating: endpoint.terminating,
          port: match.port!,
        })),
      );
    });
}

/** Active backends; when there are none, those that still serve while they terminate (pkg/loadbalancer/writer, SelectBackends). */
function active(backends: readonly Backend[]): string[] {
  const ready = backends.filter((each) => each.ready && !each.terminating);
  const chosen = ready.length > 0 ? ready : backends.filter((each) => each.terminating && each.serving);
  return [...new Set(chosen.map((each) => hostPort(each.address, each.port)))].toSorted();
}

/** Addresses of a Service by kind; without kube-proxy's replacement there are only its cluster addresses. */
function addressesOf(
  service: Service,
  config: CiliumConfig,
  nodeIps: readonly string[],
): { kind: FrontendKind; address: string }[] {
  const cluster = service.clusterIPs.map((address) => ({ kind: "ClusterIP" as const, address }));
  if (!config.kubeProxyReplacement) return cluster;
  const everywhere = [...(config.ipv4 ? ["0.0.0.0"] : []), ...(config.ipv6 ? ["::"] : [])];
  const nodePorts = service.type === "NodePort" || service.type === "LoadBalancer" ? [...everywhere, ...nodeIps] : [];
  return [
    ...cluster,
    ...nodePorts.map((address) => ({ kind: "NodePort" as const, address })),
    ...service.externalIPs.map((address) => ({ kind: "ExternalIPs" as const, address })),
    ...service.loadBalancerIPs.map((address) => ({ kind: "LoadBalancer" as const, address })),
  ];
}

function frontendsOf(
  cluster: Cluster,
  service: Service,
  config: CiliumConfig,
  machine: Machine,
  nodeIps: readonly string[],
): Frontend[] {
  const families = new Set(service.clusterIPs.map((address) => address.includes(":")));
  const local = (list: readonly Backend[]): Backend[] => list.filter((each) => each.node === machine.name);
  return service.ports.flatMap((port) =>
    addressesOf(service, config, nodeIps).flatMap(({ kind, address }): Frontend[] => {
      const v6 = address.includes(":");
      const number = kind === "NodePort" ? port.nodePort : port.port;
      if (number === null || !families.has(v6) || (v6 ? !config.ipv6 : !config.ipv4)) return [];
      const all = backendsOf(cluster, service, port, v6 ? 6 : 4);
      const outside = service.externalTrafficPolicy === "Local";
      const inside = service.internalTrafficPolicy === "Local";
      const frontend = (scope: Frontend["scope"], onlyLocal: boolean): Frontend => ({
        kind,
        address: addressKey(address),
        port: number,
        protocol: port.protocol,
        scope,
        sessionAffinity: service.sessionAffinity === "ClientIP",
        backends: active(onlyLocal ? local(all) : all),
        service: `${service.namespace}/${service.name}${port.name === "" ? "" : `:${port.name}`}`,
      });
      if (kind === "ClusterIP") return [frontend("external", inside)];
      // Clients of the cluster have a frontend of their own when the two policies differ ("two-scopes").
      if (outside === inside) return [frontend("external", outside)];
      return [frontend("external", outside), frontend("internal", inside)];
    }),
  );
}

/** hostPorts of the node's pods: a frontend on every address of the node, or on the one that the pod names. */
function hostPorts(cluster: Cluster, config: CiliumConfig, machine: Machine, nodeIps: readonly string[]): Frontend[] {
  if (!config.kubeProxyReplacement) return [];
  return cluster.pods
    .filter((pod) => pod.node === machine.name && !pod.hostNetwork && pod.phase === "Running" && !pod.terminating)
    .flatMap((pod) =>
      pod.ports
        .filter((port) => port.hostPort !== null)
        .flatMap((port) =>
          pod.ips.flatMap((ip) => {
            const v6 = ip.includes(":");
            const named =
              port.hostIP !== null && port.hostIP !== "0.0.0.0" && port.hostIP !== "::" ? [port.hostIP] : null;
            const every = [v6 ? "::" : "0.0.0.0", ...nodeIps];
            return (named ?? every)
              .filter((address) => address.includes(":") === v6)
              .map((address): Frontend => ({
                kind: "HostPort",
                address: addressKey(address),
                port: port.hostPort!,
                protocol: port.protocol,
                scope: "external",
                sessionAffinity: false,
                backends: [hostPort(addressKey(ip), port.containerPort)],
                service: `${pod.namespace}/${pod.name}/host-port/${port.hostPort}`,
              }));
          }),
        ),
    );
}

/** The frontends that a machine's maps should hold, in the order of the Services; null when Cilium does not run there. */
export function serviceMap(site: Site, machine: Machine): Frontend[] | null {
  const config = ciliumConfig(site, machine);
  if (config === null) return null;
  const node = ciliumNodes(site.cluster).get(machine.name);
  const nodeIps = node === undefined ? [] : nodeAddresses(node);
  const services = site.cluster.services.filter((service) => !service.headless && service.type !== "ExternalName");
  return [
    ...services.flatMap((service) => frontendsOf(site.cluster, service, config, machine, nodeIps)),
    ...hostPorts(site.cluster, config, machine, nodeIps),
  ];
}

/** The backends of all frontends, each once, sorted: what the backend map holds. */
export function backendMap(frontends: readonly Frontend[]): string[] {
  return [...new Set(frontends.flatMap((frontend) => frontend.backends))].toSorted();
}
