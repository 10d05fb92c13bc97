/** Plugin `portmap`: forwards ports of the host to pods. */
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import { reader } from "./json-config.ts";
import type { PluginRun } from "./plugin.ts";
import { portMappings } from "./port-mappings.ts";
import { portmapConf } from "./portmap-conf.ts";
import { portmapIptables } from "./portmap-iptables.ts";
import { portmapNftables } from "./portmap-nftables.ts";

/**
 * What `portmap` makes on a machine for the pods that ask for host ports (plugins/meta/portmap of v1.9, cmdAdd). `routedBy` is the device
 * on the host by which a pod is reached. Throws IntentError when its configuration makes no sense.
 */
export function portmap(run: PluginRun, routedBy: (attached: PluginRun["attached"][number]) => string | null): Claim[] {
  // The runtime passes mappings only to a plugin that says that it can take them.
  const capabilities = reader(reader(run.plugin.conf, run.plugin.what).object("capabilities") ?? {}, run.plugin.what);
  if (capabilities.flag("portMappings") !== true) return [];
  const conf = portmapConf(run.plugin);
  const at = run.machine.place;
  const forwarded = run.attached
    .map((attachment) => ({ attachment, mappings: portMappings(attachment.pod) }))
    .filter(({ mappings }) => mappings.length > 0);
  const tables = ([4, 6] as const).flatMap((v) =>
    conf.backend === "iptables"
      ? portmapIptables(at, run.network.name, conf, v, forwarded)
      : portmapNftables(at, conf, v, forwarded),
  );
  if (!conf.snat) return tables;
  // 127.0.0.1 may then be the source of what is routed to the pod.
  const devices = new Set(
    forwarded
      .filter(({ attachment }) => attachment.addresses.some(({ ip }) => ip.v === 4))
      .map(({ attachment }) => routedBy(attachment))
      .filter((dev) => dev !== null),
  );
  return [
    ...tables,
    ...[...devices].map((dev): Claim => ({
      owner: "portmap",
      at,
      kind: "sysctl",
      state: { key: sysctlConf("ipv4", dev, "route_localnet"), value: "1" },
    })),
  ];
}
