/** flannel: a layer 3 network of VXLAN tunnels or of plain routes between nodes, one subnet each. */
import { formatPrefix } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import type { Site, Machine } from "../site.ts";
import { hasPresentRules, versionOf } from "./generation.ts";
import { hostGateway } from "./host-gw.ts";
import { iptablesForward, iptablesMasquerade } from "./iptables.ts";
import { nftForward, nftMasquerade } from "./nftables.ts";
import { blackholeRoute } from "./routes.ts";
import { flannelSettings, type FlannelFamily, type FlannelSettings } from "./settings.ts";
import { vxlanL2Miss, vxlanL3Miss } from "./vxlan-misses.ts";
import { vxlanStatic } from "./vxlan.ts";

/** The tunnel and the ways to the peers, by backend and generation. */
function reach(site: Site, settings: FlannelSettings, family: FlannelFamily): Claim[] {
  if (settings.backend === "host-gw") return hostGateway(settings, family);
  if (settings.backend !== "vxlan") return [];
  switch (settings.generation) {
    case "static":
      return vxlanStatic(settings, family);
    case "l3-miss":
      return vxlanL3Miss(settings, family, (versionOf(site)?.[1] ?? 0) >= 7);
    case "l2-miss":
      return vxlanL2Miss(settings, family);
  }
}

/**
 * Masquerading and forwarding. Which of the two programs holds the rules is in the configuration alone: when that was not recorded both
 * are optional, and what is there must be as flannel writes it.
 */
function rules(settings: FlannelSettings, family: FlannelFamily): Claim[] {
  const nft = settings.netConf?.nftables ?? null;
  const at = settings.place;
  const claims: Claim[] = [];
  const ask = (
    wanted: boolean | null,
    iptables: (optional: boolean) => Claim[],
    tables: (optional: boolean) => Claim[],
  ): void => {
    if (wanted === false) return;
    const optional = wanted === null || nft === null;
    if (nft !== true) claims.push(...iptables(optional));
    if (nft !== false) claims.push(...tables(optional));
  };
  ask(
    settings.masquerade,
    (optional) => iptablesMasquerade(at, family, settings.randomFully, optional),
    (optional) => nftMasquerade(at, family, settings.randomFully, optional),
  );
  ask(
    settings.forwardRules,
    (optional) => iptablesForward(at, family, optional),
    (optional) => nftForward(at, family, optional),
  );
  return claims;
}

export const flannel: Network = {
  name: "flannel",
  about: "flannel: VXLAN tunnels or routes between the nodes' pod networks, masquerading, forwarding",
  intend(site: Site, machine: Machine): Claim[] {
    const settings = flannelSettings(site, machine);
    if (settings === null) return [];
    return settings.families.flatMap((family) => [
      ...reach(site, settings, family),
      ...(settings.blackhole ? [blackholeRoute(settings.place, family.family, formatPrefix(family.subnet))] : []),
      ...(hasPresentRules(site) ? rules(settings, family) : []),
    ]);
  },
};
