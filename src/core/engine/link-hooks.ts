/** nftables chains below IP: those of bridges (family bridge), of devices (netdev ingress and egress) and of ARP. */
import type { Device } from "./device.ts";
import type { Fate } from "./fate.ts";
import type { Hook } from "./netfilter/context.ts";
import type { Packet } from "./packet.ts";
import type { Run } from "./run.ts";

/** Runs a bridge's chains of one hook for a frame; null lets it pass. */
export function bridgeHook(
  run: Run,
  bridge: Device,
  hook: Hook,
  pkt: Packet,
  iif: Device | null,
  oif: Device | null,
): Fate | null {
  return runChains(run, bridge, "bridge", hook, pkt, iif, oif);
}

/** Runs the ingress or egress chains that are attached to a device; null lets the frame pass. */
export function deviceHook(run: Run, dev: Device, hook: "ingress" | "egress", pkt: Packet): Fate | null {
  return runChains(run, dev, "netdev", hook, pkt, hook === "ingress" ? dev : null, hook === "egress" ? dev : null);
}

/** Whether a namespace lets an ARP message in or out by a device; a fate that is inconclusive where that can't be told. */
export function arpHook(run: Run, dev: Device, hook: "input" | "output", pkt: Packet): Fate | null {
  return runChains(run, dev, "arp", hook, pkt, hook === "input" ? dev : null, hook === "output" ? dev : null);
}

function runChains(
  run: Run,
  at: Device,
  family: "bridge" | "netdev" | "arp",
  hook: Hook,
  pkt: Packet,
  iif: Device | null,
  oif: Device | null,
): Fate | null {
  const { ns } = at;
  if (!ns.filtersBelowIp) return null;
  const chains = ns.netfilter.chains(family, hook);
  for (const chain of chains) {
    if (family === "netdev" && !chain.devices.includes(at.name)) continue;
    const ctx = run.context(ns, hook, pkt, iif, oif, null);
    const verdict = chain.run(ctx);
    if (verdict === "accept") continue;
    const rule = ctx.decidedBy;
    const text = (): string => rule?.text() ?? `policy of ${chain.table} ${chain.chain} is drop`;
    const source = rule?.source ?? chain.source;
    if (verdict === "drop")
      return { t: "lost", disposition: "dropped", ns, pkt, local: false, because: { text, source } };
    return {
      t: "inconclusive",
      because: { text: () => `what becomes of a frame after "${text()}" is not modelled`, source },
    };
  }
  return null;
}
