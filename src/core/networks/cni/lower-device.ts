/** Plugins `macvlan` and `ipvlan`: the pod's device is a second face of one of the host's, without a bridge between. */
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import { IntentError } from "../network.ts";
import type { Machine } from "../site.ts";
import { configureIface } from "./configure-iface.ts";
import { reader } from "./json-config.ts";
import type { PluginRun } from "./plugin.ts";

/** Modes by plugin; the first is that of a configuration without one (modeFromString). */
const MODES: Record<string, readonly string[]> = {
  macvlan: ["bridge", "private", "vepa", "passthru"],
  ipvlan: ["l2", "l3", "l3s"],
};

/** The device of the default route, which both take when the configuration names none: the one that holds the node's address. */
function defaultDevice(machine: Machine): string | null {
  const own = new Set(machine.node?.addresses.map((each) => each.address));
  const held = machine.devices.find((device) => device.addresses.some((each) => own.has(each.split("/", 1)[0] ?? "")));
  return (held ?? machine.devices[0])?.name ?? null;
}

/**
 * What the plugin makes in the pods' namespaces (plugins/main/macvlan and ipvlan, cmdAdd): the device, made with a random name and then
 * renamed, with addresses and routes. The host's side has no trace of it. Without `mtu` the device has that of the one beneath; a
 * macvlan's is never more. (Versions from 1.2 on also set ndisc_notify; no record says which version it was.) Throws IntentError for an unknown mode.
 */
export function lowerDevice(run: PluginRun): Claim[] {
  const { conf, what, type: owner } = run.plugin;
  const o = reader(conf, what);
  const modes = MODES[owner] ?? [];
  const mode = o.text("mode") || modes[0] || "";
  if (!modes.includes(mode)) throw new IntentError(`${what}: unknown mode ${mode}`);
  // `linkInContainer`: the device beneath is the pod's own.
  const inPod = o.flag("linkInContainer") ?? false;
  const dev = o.text("master") || (inPod ? null : defaultDevice(run.machine));
  const beneath = run.machine.devices.find((each) => each.name === dev);
  const mtu = o.integer("mtu") || (inPod ? undefined : beneath?.mtu);
  return run.attachments.flatMap((attachment): Claim[] => {
    const at = attachment.sandbox.place;
    const name = attachment.ifname;
    const link: Claim = {
      owner,
      at,
      kind: "link",
      state: {
        name,
        type: owner,
        up: true,
        ...(mtu !== undefined && { mtu }),
        // A device in another namespace is known there by its number alone.
        attributes: { mode, ...(inPod && dev !== null && { dev }) },
      },
    };
    if (run.ipam.type === "") return [link];
    return [
      link,
      ...configureIface(owner, attachment, run.ipam.routes),
      { owner, at, kind: "sysctl", state: { key: sysctlConf("ipv4", name, "arp_notify"), value: "1" } },
    ];
  });
}
