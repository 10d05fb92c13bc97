/** A pod's devices and routes (plugins/cilium-cni/cmd/cmd.go, pkg/datapath/connector, pkg/datapath/linux/routing). */
import type { Claim } from "../claim.ts";
import type { Sandbox } from "../site.ts";
import type { Pod } from "../../model/cluster.ts";
import { familiesOf, routerOf, type LocalNode } from "./local-node.ts";
import { MAIN_TABLE } from "../state.ts";

const OWNER = "cilium";
const METRIC6 = 1024;

/** Both sides of a pod's veth pair: its addresses and routes within, lxc… on the host. */
export function endpointClaims(local: LocalNode, sandbox: Sandbox, pod: Pod): Claim[] {
  const { machine, config, deviceMtu, routeMtu } = local;
  const host = { owner: OWNER, at: machine.place };
  const inside = { owner: OWNER, at: sandbox.place };
  const { device, hostDevice } = sandbox;
  const name = device?.name ?? "eth0";
  // The name is lxc and a hash of the container's id, which no object tells.
  const outer = hostDevice?.name ?? null;
  const mac = (value: string | null | undefined): { mac?: string } => (value == null ? {} : { mac: value });
  const claims: Claim[] = [
    {
      ...inside,
      kind: "link",
      state: {
        name,
        type: "veth",
        mtu: deviceMtu,
        up: true,
        master: null,
        ...mac(device?.mac),
        ...(outer === null ? {} : { peer: `${machine.place} ${outer}` }),
      },
    },
  ];
  if (outer !== null)
    claims.push(
      {
        ...host,
        kind: "link",
        state: {
          name: outer,
          type: "veth",
          mtu: deviceMtu,
          up: true,
          master: null,
          ...mac(hostDevice?.mac),
          peer: `${sandbox.place} ${name}`,
        },
      },
      { ...host, kind: "sysctl", state: { key: `net.ipv4.conf.${outer}.rp_filter`, value: "0" } },
    );
  for (const family of familiesOf(config)) {
    const ip = pod.ips.find((each) => each.includes(":") === (family === 6));
    const router = routerOf(local.node, family);
    if (ip === undefined) continue;
    const length = family === 4 ? 32 : 128;
    claims.push({ ...inside, kind: "address", state: { dev: name, address: `${ip}/${length}`, scope: "global" } });
    const metric = family === 6 ? METRIC6 : 0;
    // IPv6 routes have no scope (fib6_config).
    const scope = family === 4 ? { scope: "link" } : {};
    if (router !== null) {
      const way = { family, table: MAIN_TABLE, type: "unicast", metric, protocol: "boot" } as const;
      claims.push(
        {
          ...inside,
          kind: "route",
          state: { ...way, dst: `${router}/${length}`, ...scope, ways: [{ via: null, dev: name }] },
        },
        {
          ...inside,
          kind: "route",
          state: {
            ...way,
            dst: family === 4 ? "0.0.0.0/0" : "::/0",
            mtu: routeMtu,
            ways: [{ via: router, dev: name }],
          },
        },
      );
    }
    // Without routes of their own pods are reached over cilium_host, where BPF redirects to them.
    if (config.endpointRoutes && outer !== null)
      claims.push({
        ...host,
        kind: "route",
        state: {
          family,
          table: MAIN_TABLE,
          type: "unicast",
          metric,
          protocol: "kernel",
          dst: `${ip}/${length}`,
          ...scope,
          ways: [{ via: null, dev: outer }],
        },
      });
  }
  return claims;
}
