/** Sockets that listen: on the wildcard, on one address, on one device, of one family or both. */
import { type Plan, addressesOf, devicesOf, wants } from "./plan.ts";
import type { ServerSpec } from "../world.ts";

export const TCP_PORTS = [80, 8080];
export const UDP_PORTS = [53, 8080];

/** Opens servers in every namespace. */
export function servers(plan: Plan): void {
  const { rng } = plan;
  plan.namespaces.forEach((_, ns) => {
    for (const [proto, ports] of [
      ["tcp", TCP_PORTS],
      ["udp", UDP_PORTS],
    ] as const) {
      for (const port of ports) {
        const style = rng.int(0, 9);
        if (style < 4) add(plan, ns, { proto, family: 6, port });
        else if (style < 6) {
          add(plan, ns, { proto, family: 4, port });
          add(plan, ns, { proto, family: 6, port, v6only: true });
        } else if (style === 6) add(plan, ns, { proto, family: rng.pick([4, 6] as const), port, v6only: true });
        else if (style === 7 && wants(plan, "bound-socket")) bound(plan, ns, proto, port);
        else if (style === 8) add(plan, ns, { proto, family: 6, port });
      }
    }
  });
}

function bound(plan: Plan, ns: number, proto: "tcp" | "udp", port: number): void {
  const { rng } = plan;
  const family = rng.pick([4, 6] as const);
  const dev = rng.maybe(devicesOf(plan, ns))?.dev;
  const addr = rng.maybe(addressesOf(plan, ns, family));
  if (dev && rng.chance(0.3)) add(plan, ns, { proto, family, port, v6only: true, dev });
  else if (addr) {
    add(plan, ns, { proto, family, port, v6only: true, addr });
    if (rng.chance(0.3)) add(plan, ns, { proto, family: 4, port, addr: "127.0.0.1" });
  }
}

function add(plan: Plan, ns: number, server: ServerSpec): void {
  if (plan.servers.some((s) => s.ns === ns && JSON.stringify(s.server) === JSON.stringify(server))) return;
  plan.servers.push({ ns, server });
  plan.items.push({ ns, phase: "server", kind: "server", server, feature: "server" });
}
