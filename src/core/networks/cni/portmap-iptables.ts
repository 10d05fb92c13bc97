/** portmap's rules in iptables. */
import { formatIp, formatPrefix, parseIp, prefixOf } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { XtFamily } from "../state.ts";
import type { Attached } from "./attachments.ts";
import type { PodAddress } from "./ipam.ts";
import { chainName, quoted } from "./names.ts";
import type { PortMapping } from "./port-mappings.ts";
import type { PortmapConf } from "./portmap-conf.ts";

const DNAT = "CNI-HOSTPORT-DNAT";
const SETMARK = "CNI-HOSTPORT-SETMARK";
const MASQ = "CNI-HOSTPORT-MASQ";

/** Ports that one multiport match can hold (XT_MULTI_PORTS). */
const MULTIPORTS = 15;
/** iptables' limit for comments. */
const COMMENT = 255;

/** A pod whose ports are forwarded. */
export interface Forwarded {
  attachment: Attached;
  mappings: readonly PortMapping[];
}

/** Rules of a pod's own chain: mark what must come back by the host, then send it to the pod (fillDnatRules). */
export function dnatRules(conf: PortmapConf, address: PodAddress, mappings: readonly PortMapping[]): string[] {
  const v6 = address.ip.v === 6;
  const mark = conf.externalMarkChain ?? SETMARK;
  const net = formatPrefix(prefixOf(address.ip, address.len));
  const everyone = v6 ? "::/0" : "0.0.0.0/0";
  return mappings.flatMap((mapping) => {
    const host = mapping.hostIP === null ? null : parseIp(mapping.hostIP);
    if (host !== null && host.v !== address.ip.v) return [];
    const anywhere = host === null || /^[0:.]+$/.test(formatIp(host));
    const to = anywhere ? "" : `-d ${formatIp(host)}/${v6 ? 128 : 32} `;
    const match = `${to}-p ${mapping.protocol} -m ${mapping.protocol} --dport ${mapping.hostPort}`;
    const from = (source: string): string => `${source === everyone ? "" : `-s ${source} `}${match} -j ${mark}`;
    const ip = formatIp(address.ip);
    const marks = conf.snat ? [from(conf.masqAll ? everyone : net)] : [];
    if (conf.snat && !v6 && !conf.masqAll) marks.push(from("127.0.0.1/32"));
    return [...marks, `${match} -j DNAT --to-destination ${v6 ? `[${ip}]` : ip}:${mapping.containerPort}`];
  });
}

/** Rules of CNI-HOSTPORT-DNAT that lead to a pod's chain: by protocol, up to 15 ports each. */
export function entryRules(
  conf: PortmapConf,
  network: string,
  containerId: string,
  v6: boolean,
  mappings: readonly PortMapping[],
): string[] {
  const text = `dnat name: "${network}" id: "${containerId}"`;
  const comment = quoted(text.length <= COMMENT ? text : `${text.slice(0, 253)}...`);
  const conditions = (v6 ? conf.conditions6 : conf.conditions4).map((word) => `${word} `).join("");
  const protocols = [...new Set(mappings.map((each) => each.protocol))].toSorted();
  return protocols.flatMap((protocol) => {
    const ports = mappings.filter((each) => each.protocol === protocol).map((each) => each.hostPort);
    const rules: string[] = [];
    for (let i = 0; i < ports.length; i += MULTIPORTS) {
      const some = ports.slice(i, i + MULTIPORTS).join(",");
      rules.push(
        `${conditions}-p ${protocol} -m comment --comment ${comment} -m multiport --dports ${some}` +
          ` -j ${chainName(network, containerId, "DN-")}`,
      );
    }
    return rules;
  });
}

const nat = (family: XtFamily, chain: string) => ({ backend: "iptables", family, table: "nat", chain }) as const;

/** Jumps and chains that all pods share: to CNI-HOSTPORT-DNAT from the host's own addresses, and masquerading by mark (genToplevelDnatChain, genSetMarkChain, genMarkMasqChain). */
function shared(at: string, conf: PortmapConf, family: XtFamily, optional: boolean): Claim[] {
  const owned = { owner: "portmap", at, ...(optional && { optional }) } as const;
  const jump = (from: string, state: string): Claim => ({ ...owned, kind: "rule", chain: nat(family, from), state });
  const claims = ["PREROUTING", "OUTPUT"].map((from) => jump(from, `-m addrtype --dst-type LOCAL -j ${DNAT}`));
  if (!conf.snat || conf.externalMarkChain !== null) return claims;
  const mark = `${conf.mark}/${conf.mark}`;
  const set = `-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${mark}`;
  return [
    ...claims,
    jump("POSTROUTING", `-m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ}`),
    { ...owned, kind: "chain", state: nat(family, SETMARK), rules: [set] },
    { ...owned, kind: "chain", state: nat(family, MASQ), rules: [`-m mark --mark ${mark} -j MASQUERADE`] },
  ];
}

/**
 * The chains of one address family for the pods that have an address of it; without such pods what earlier ones may have left. A pod whose sandbox's id was not recorded has a chain that
 * only its content tells; the rules that lead there have the id in their comment, so then they are left out.
 */
export function portmapIptables(
  at: string,
  network: string,
  conf: PortmapConf,
  v: 4 | 6,
  forwarded: readonly Forwarded[],
): Claim[] {
  const family = v === 4 ? "ip" : "ip6";
  const owner = "portmap";
  const pods = forwarded.flatMap(({ attachment, mappings }) => {
    const address = attachment.addresses.find(({ ip }) => ip.v === v);
    return address === undefined ? [] : [{ attachment, mappings, address }];
  });
  if (pods.length === 0) {
    // They stay when the last pod goes.
    const empty: Claim = { owner, at, optional: true, kind: "chain", state: nat(family, DNAT), rules: [] };
    return [...shared(at, conf, family, true), empty];
  }
  const known = pods.every(({ attachment }) => attachment.containerId !== null);
  const entries = pods.flatMap(({ attachment: { containerId }, mappings }) =>
    containerId === null ? [] : entryRules(conf, network, containerId, v === 6, mappings),
  );
  return [
    ...shared(at, conf, family, false),
    // Pods that start together come in any order.
    { owner, at, kind: "chain", state: nat(family, DNAT), rules: known ? entries : null, freeOrder: entries.length },
    ...(known ? [] : entries.map((state): Claim => ({ owner, at, kind: "rule", chain: nat(family, DNAT), state }))),
    ...pods.map(({ attachment, mappings, address }): Claim => {
      const id = attachment.containerId;
      const stand = `CNI-DN-${attachment.pod.namespace}/${attachment.pod.name}`;
      return {
        owner,
        at,
        kind: "chain",
        ...(id === null && { hashed: "CNI-DN-" }),
        state: nat(family, id === null ? stand : chainName(network, id, "DN-")),
        rules: dnatRules(conf, address, mappings),
      };
    }),
  ];
}
