/** Cilium's devices with their addresses and settings (pkg/datapath/loader/netlink.go, base.go). */
import type { Claim } from "../claim.ts";
import { familiesOf, routerOf, type LocalNode } from "./local-node.ts";

const OWNER = "cilium";

/** Settings of every device of Cilium's own (enableForwarding). */
function deviceSysctls(local: LocalNode, device: string): Claim[] {
  const claim = (key: string, value: string): Claim => ({
    owner: OWNER,
    at: local.machine.place,
    kind: "sysctl",
    state: { key, value },
  });
  const v4 = `net.ipv4.conf.${device}`;
  return [
    ...(local.config.ipv6 ? [claim(`net.ipv6.conf.${device}.forwarding`, "1")] : []),
    ...(local.config.ipv4
      ? [
          claim(`${v4}.forwarding`, "1"),
          claim(`${v4}.rp_filter`, "0"),
          claim(`${v4}.accept_local`, "1"),
          claim(`${v4}.send_redirects`, "0"),
        ]
      : []),
  ];
}

/**
 * cilium_host and cilium_net, a pair without ARP; the tunnel, whose peers BPF says packet by packet; the health endpoint's veth; and
 * the machine's own settings.
 */
export function deviceClaims(local: LocalNode): Claim[] {
  const { machine, config, deviceMtu } = local;
  const claimed = { owner: OWNER, at: machine.place };
  const claims: Claim[] = [];
  const own = ["cilium_host", "cilium_net"];
  for (const [index, name] of own.entries())
    claims.push({
      ...claimed,
      kind: "link",
      state: {
        name,
        type: "veth",
        mtu: deviceMtu,
        up: true,
        master: null,
        peer: `${machine.place} ${own[1 - index]}`,
        ...macOf(local, name),
      },
    });
  if (config.tunnel !== null) {
    const name = `cilium_${config.tunnel.protocol}`;
    own.push(name);
    claims.push({
      ...claimed,
      kind: "link",
      state: {
        name,
        type: config.tunnel.protocol,
        mtu: deviceMtu,
        up: true,
        master: null,
        ...macOf(local, name),
        attributes:
          config.tunnel.protocol === "vxlan"
            ? { external: true, port: config.tunnel.port, learning: false }
            : { external: true, port: config.tunnel.port },
      },
    });
  }
  if (config.healthEndpoint)
    claims.push({
      ...claimed,
      optional: true,
      kind: "link",
      state: { name: "lxc_health", type: "veth", mtu: deviceMtu, up: true, master: null },
    });
  for (const family of familiesOf(config)) {
    const router = routerOf(local.node, family);
    if (router !== null)
      claims.push({
        ...claimed,
        kind: "address",
        state: { dev: "cilium_host", address: `${router}/${family === 4 ? 32 : 128}` },
      });
  }
  for (const device of own) claims.push(...deviceSysctls(local, device));
  const setting = (key: string, value: string): void =>
    void claims.push({ ...claimed, kind: "sysctl", state: { key, value } });
  // With all.rp_filter 0 each device's own value counts.
  setting("net.ipv4.conf.all.rp_filter", "0");
  if (config.ipv4) setting("net.ipv4.ip_forward", "1");
  if (config.ipv6) {
    setting("net.ipv6.conf.all.forwarding", "1");
    setting("net.ipv6.conf.all.disable_ipv6", "0");
  }
  return claims;
}

/** A device's MAC address is drawn at random when it is made. */
function macOf(local: LocalNode, name: string): { mac?: string } {
  const mac = local.machine.macOf(name);
  return mac === null ? {} : { mac };
}
