/** Routes and policy rules of a node (pkg/datapath/linux/node.go, pkg/proxy/routes.go). */
import type { Claim } from "../claim.ts";
import { MAIN_TABLE, type RouteState } from "../state.ts";
import { deviceTowards, familiesOf, nodeIpOf, podCidrsOf, routerOf, type LocalNode } from "./local-node.ts";

const OWNER = "cilium";
/** Tables for what goes to the proxy and comes from it (linux_defaults.go). */
const TO_PROXY = 2004;
const FROM_PROXY = 2005;
const HOST_DEVICE = "cilium_host";

/** The kernel's metric for IPv6 routes without one (IP6_RT_PRIO_USER). */
const metricOf = (family: 4 | 6, metric = 0): number => (metric > 0 ? metric : family === 6 ? 1024 : 0);

/** A route that Cilium puts in: all of them are `proto kernel`. */
function route(local: LocalNode, state: Partial<RouteState> & Pick<RouteState, "family" | "dst" | "ways">): Claim {
  return {
    owner: OWNER,
    at: local.machine.place,
    kind: "route",
    state: { table: MAIN_TABLE, type: "unicast", metric: metricOf(state.family), protocol: "kernel", ...state },
  };
}

/**
 * Pods of a node over cilium_host, where BPF takes them: by its address for IPv4; IPv6 takes no gateway that is the host's own. Routes
 * to other nodes bear the MTU that is left within the tunnel.
 */
function nodeRoutes(local: LocalNode, cidrs: readonly string[], family: 4 | 6, far: boolean): Claim[] {
  const router = routerOf(local.node, family);
  if (router === null) return [];
  return cidrs.map((dst) =>
    route(local, {
      family,
      dst,
      src: router,
      mtu: far ? local.routeMtu : null,
      metric: metricOf(family, local.config.routeMetric),
      ways: [{ via: family === 4 ? router : null, dev: HOST_DEVICE }],
    }),
  );
}

/** Pods of a node by the node's own address; one that is not in a network of this machine gets no route (createDirectRouteSpec). */
function directRoutes(local: LocalNode, cidrs: readonly string[], nodeIp: string | null, family: 4 | 6): Claim[] {
  const dev = nodeIp === null ? null : deviceTowards(local.machine, nodeIp);
  return dev === null ? [] : cidrs.map((dst) => route(local, { family, dst, ways: [{ via: nodeIp, dev }] }));
}

/** Rules before the local table, which Cilium moves from 0 to 100 for their sake. */
function ruleClaims(local: LocalNode, family: 4 | 6): Claim[] {
  const { config } = local;
  const rule = (priority: number, selector: string, table: string): Claim => ({
    owner: OWNER,
    at: local.machine.place,
    kind: "rule-lookup",
    state: { family, priority, selector, action: `lookup ${table}` },
  });
  const claims: Claim[] = [];
  if (config.ipsec) {
    if (!(family === 4 && config.endpointRoutes)) claims.push(rule(1, "from all fwmark 0xd00/0xf00", "200"));
    claims.push(rule(1, "from all fwmark 0xe00/0xf00", "200"));
  }
  if (config.l7Proxy) claims.push(rule(9, "from all fwmark 0x200/0xf00", String(TO_PROXY)));
  if (fromProxy(local).ingress) claims.push(rule(10, "from all fwmark 0xa00/0xf00", String(FROM_PROXY)));
  if (fromProxy(local).egress) claims.push(rule(10, "from all fwmark 0xb00/0xf00", String(FROM_PROXY)));
  return [...claims, rule(100, "from all", "local")];
}

/** Whether packets from the proxy need a way back to cilium_host (requireFromProxyRoutes): only without a tunnel. */
function fromProxy({ config }: LocalNode): { ingress: boolean; egress: boolean } {
  const native = config.tunnel === null && config.l7Proxy;
  return {
    ingress: native && (config.envoyConfig || config.ipsec || config.wireguard),
    egress: native && config.ipsec,
  };
}

function proxyRoutes(local: LocalNode, family: 4 | 6): Claim[] {
  if (!local.config.l7Proxy) return [];
  const everywhere = family === 4 ? "0.0.0.0/0" : "::/0";
  const claims = [
    route(local, { family, table: TO_PROXY, type: "local", dst: everywhere, ways: [{ via: null, dev: "lo" }] }),
  ];
  const router = routerOf(local.node, family);
  // IPv6 leads back over cilium_net's link-local address, which the kernel derives from its MAC address.
  if (!fromProxy(local).ingress || router === null || family === 6) return claims;
  const mtu = local.config.ipsec || local.config.wireguard ? local.routeMtu : null;
  claims.push(
    route(local, {
      family,
      table: FROM_PROXY,
      dst: `${router}/32`,
      scope: "link",
      ways: [{ via: null, dev: HOST_DEVICE }],
    }),
    route(local, { family, table: FROM_PROXY, dst: everywhere, mtu, ways: [{ via: router, dev: HOST_DEVICE }] }),
  );
  return claims;
}

/** Every route and rule of the node itself; pods' own are in endpoints.ts. */
export function routeClaims(local: LocalNode): Claim[] {
  const { config, node, others } = local;
  return familiesOf(config).flatMap((family) => {
    const claims: Claim[] = [];
    const router = routerOf(node, family);
    const overHost = config.localNodeRoute || config.tunnel !== null;
    // The gateway of those routes has a route of its own (pkg/datapath/linux/route, createNexthopRoute).
    if (router !== null && family === 4 && overHost)
      claims.push(
        route(local, { family, dst: `${router}/32`, scope: "link", ways: [{ via: null, dev: HOST_DEVICE }] }),
      );
    if (config.localNodeRoute) claims.push(...nodeRoutes(local, podCidrsOf(node, family), family, false));
    for (const other of others) {
      const cidrs = podCidrsOf(other, family);
      if (config.tunnel !== null) claims.push(...nodeRoutes(local, cidrs, family, true));
      else if (config.autoDirectNodeRoutes) claims.push(...directRoutes(local, cidrs, nodeIpOf(other, family), family));
    }
    return [...claims, ...proxyRoutes(local, family), ...ruleClaims(local, family)];
  });
}
