/** What every plugin works with. */
import type { Machine, Site } from "../site.ts";
import type { Attached, Attachment } from "./attachments.ts";
import type { CniNetwork, PluginConf } from "./conflist.ts";
import type { Ipam } from "./ipam.ts";

/** A plugin's part of a network on one machine. */
export interface PluginRun {
  site: Site;
  machine: Machine;
  network: CniNetwork;
  plugin: PluginConf;
  /** Of the network's first plugin, which asks it for addresses. */
  ipam: Ipam;
  /** The machine's pods, in the order in which they were attached. */
  attachments: readonly Attachment[];
  /** These and the pods whose namespaces were not recorded: what is made for them on the host does not depend on that. */
  attached: readonly Attached[];
}
