/** portmap's configuration. */
import { IntentError } from "../network.ts";
import { reader } from "./json-config.ts";
import type { PluginConf } from "./conflist.ts";

export interface PortmapConf {
  backend: "iptables" | "nftables";
  /** Whether what comes from the pod itself or from the host's loopback gets the host's address. */
  snat: boolean;
  masqAll: boolean;
  /** The mark that asks for it, `0x2000`. */
  mark: string;
  /** Chain of another program that sets its own mark; null for portmap's. */
  externalMarkChain: string | null;
  /** Further matches of the rules that lead to a pod's. */
  conditions4: string[];
  conditions6: string[];
}

/** plugins/meta/portmap, DefaultMarkBit. */
const MARK_BIT = 13;

/** Reads it with the defaults of plugins/meta/portmap, parseConfig and ensureBackend. Throws IntentError for what portmap refuses. */
export function portmapConf({ conf, what }: PluginConf): PortmapConf {
  const o = reader(conf, what);
  const backend = o.text("backend") ?? "iptables";
  if (backend !== "iptables" && backend !== "nftables")
    throw new IntentError(`${what}: "backend" should be iptables or nftables, not ${backend}`);
  const bit = o.integer("markMasqBit") ?? MARK_BIT;
  if (bit < 0 || bit > 31) throw new IntentError(`${what}: "markMasqBit" should be from 0 to 31, not ${bit}`);
  return {
    backend,
    snat: o.flag("snat") ?? true,
    masqAll: o.flag("masqAll") ?? false,
    mark: `0x${(2 ** bit).toString(16)}`,
    externalMarkChain: o.text("externalSetMarkChain"),
    conditions4: o.texts("conditionsV4"),
    conditions6: o.texts("conditionsV6"),
  };
}
