/**
 * A pod's device and its host's: a veth pair, the pod's addresses without a subnet, a gateway that only proxy ARP answers for
 * (cni-plugin/pkg/dataplane/linux/dataplane_linux.go; felix/dataplane/linux/endpoint_mgr.go).
 */
import type { Claim } from "../claim.ts";
import type { Machine, Sandbox } from "../site.ts";
import { address, link, route, sysctl } from "./claims.ts";
import type { CniSettings } from "./cni-settings.ts";
import type { CalicoConfig } from "./config.ts";
import { hostPrefix } from "./pools.ts";
import type { WorkloadEndpoint } from "./workload-endpoints.ts";

/** Every pod's gateway; no device has it. */
const GATEWAY = "169.254.1.1";
/** MAC address of every pod's device on its host, and the link-local address that follows of it. */
const HOST_MAC = "ee:ee:ee:ee:ee:ee";
const HOST_LINK_LOCAL = "fe80::ecee:eeff:feee:eeee";

const has = (endpoint: WorkloadEndpoint, family: 4 | 6): boolean => endpoint.addresses.some((ip) => ip.v === family);

/** configureSysctls of the CNI plugin, configureProcSysForInterface of Felix. */
function hostSettings(at: string, endpoint: WorkloadEndpoint, config: CalicoConfig): Claim[] {
  const dev = endpoint.device;
  return [
    ...(has(endpoint, 4)
      ? [
          sysctl(at, `net.ipv4.conf.${dev}.route_localnet`, "1"),
          sysctl(at, `net.ipv4.conf.${dev}.proxy_arp`, "1"),
          sysctl(at, `net.ipv4.neigh.${dev}.proxy_delay`, "0"),
          sysctl(at, `net.ipv4.conf.${dev}.forwarding`, "1"),
        ]
      : []),
    sysctl(at, `net.ipv6.conf.${dev}.accept_ra`, "0"),
    ...(has(endpoint, 6) && config.families.includes(6) ? [sysctl(at, `net.ipv6.conf.${dev}.forwarding`, "1")] : []),
  ];
}

function hostRoutes(at: string, endpoint: WorkloadEndpoint, config: CalicoConfig): Claim[] {
  const prefixes = endpoint.addresses.map((ip) => ({ family: ip.v, dst: hostPrefix(ip) }));
  const floating = config.floatingIPs
    ? endpoint.floatingIPs.map(({ external }) => {
        const family: 4 | 6 = external.includes(":") ? 6 : 4;
        return { family, dst: `${external}/${family === 4 ? 32 : 128}` };
      })
    : [];
  return [...prefixes, ...floating]
    .filter(({ family }) => config.families.includes(family))
    .map(({ family, dst }) =>
      route(at, {
        family,
        dst,
        metric: config.metric[family],
        protocol: config.deviceProtocol,
        ...(family === 4 ? { scope: "link", src: config.deviceSource4 } : {}),
        ways: [{ via: null, dev: endpoint.device }],
      }),
    );
}

/** The pod's side (DoWorkloadNetnsSetUp). */
function podSide(
  sandbox: Sandbox,
  endpoint: WorkloadEndpoint,
  machine: Machine,
  cni: CniSettings,
  mtu: number,
): Claim[] {
  const at = sandbox.place;
  const dev = sandbox.device?.name ?? "eth0";
  const claims: Claim[] = [
    link(at, {
      name: dev,
      type: "veth",
      mtu,
      up: true,
      master: null,
      peer: `${machine.place} ${endpoint.device}`,
      ...(typeof sandbox.device?.mac === "string" ? { mac: sandbox.device.mac } : {}),
    }),
    ...endpoint.addresses.map((ip) => address(at, { dev, address: hostPrefix(ip), scope: "global" })),
  ];
  if (has(endpoint, 4)) {
    const common = { family: 4 as const, protocol: "boot" };
    claims.push(
      route(at, { ...common, dst: `${GATEWAY}/32`, scope: "link", ways: [{ via: null, dev }] }),
      route(at, { ...common, dst: "0.0.0.0/0", scope: "global", ways: [{ via: GATEWAY, dev }] }),
      sysctl(at, "net.ipv4.ip_forward", cni.podsForward ? "1" : "0"),
    );
  }
  if (has(endpoint, 6)) {
    claims.push(
      route(at, { family: 6, dst: "::/0", protocol: "boot", ways: [{ via: HOST_LINK_LOCAL, dev }] }),
      ...["all", "default", "lo"].map((each) => sysctl(at, `net.ipv6.conf.${each}.disable_ipv6`, "0")),
    );
  }
  return claims;
}

/** Claims for the pods of this machine, in its root namespace and in theirs. */
export function workloadClaims(
  machine: Machine,
  endpoints: readonly WorkloadEndpoint[],
  cni: CniSettings,
  config: CalicoConfig,
): Claim[] {
  const at = machine.place;
  const sandboxes = new Map(machine.sandboxes.map((each) => [`${each.pod.namespace}/${each.pod.name}`, each]));
  const mtu = cni.mtu ?? config.mtu.pods;
  return endpoints.flatMap((endpoint) => {
    const sandbox = sandboxes.get(`${endpoint.namespace}/${endpoint.pod}`);
    const dev = sandbox?.device?.name ?? "eth0";
    return [
      link(at, {
        name: endpoint.device,
        type: "veth",
        mtu,
        mac: HOST_MAC,
        up: true,
        master: null,
        ...(sandbox?.device ? { peer: `${sandbox.place} ${dev}` } : {}),
      }),
      ...hostRoutes(at, endpoint, config),
      ...hostSettings(at, endpoint, config),
      ...(sandbox === undefined ? [] : podSide(sandbox, endpoint, machine, cni, mtu)),
    ];
  });
}
