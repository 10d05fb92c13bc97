/**
 * Floating addresses of keepalived (VRRP, RFC 9568): nobody holds one, several do, or a machine that may hold one is not on its segment.
 * Where an address is, only the kernel tells; who should have it, the configurations and VRRP's election.
 */
import { formatIp } from "../../model/address.ts";
import type { Source } from "../../model/source.ts";
import { hears } from "../../networks/vip/election.ts";
import { serversBehind } from "../../networks/vip/haproxy-read.ts";
import { haproxyOf } from "../../networks/vip/recorded.ts";
import type { Walked } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { lostOf } from "../lost.ts";
import type { Evidence, Undecided } from "../types.ts";
import { asked, contender, names, segmentOf, vipGroups, type Group, type Member } from "../vip-groups.ts";
import { vipWalks } from "../vip-walks.ts";

/** Why two machines that both hold an address do not settle it; a sentence's end. */
function whyBoth(group: Group, a: Member, b: Member): { why: string; evidence: Evidence[] } {
  const [x, y] = [a.instance, b.instance];
  const { chart } = group;
  const both = [chart.evidence(x.source), chart.evidence(y.source)];
  const [p, q] = [segmentOf(chart, a), segmentOf(chart, b)];
  if (x.routerId !== y.routerId)
    return {
      why: `their virtual_router_id is ${x.routerId} and ${y.routerId}, so neither takes the other's adverts`,
      evidence: both,
    };
  if (x.password !== y.password)
    return { why: "their passwords differ, so neither takes the other's adverts", evidence: both };
  const together = p === null || q === null || p === q;
  if (!hears(contender(group, a), contender(group, b), () => together))
    return together
      ? { why: "one has no unicast_peer for the other's address", evidence: both }
      : { why: `adverts do not pass between the segments ${p} and ${q}`, evidence: both };
  return {
    why: "they do not hear each other's adverts (protocol 112), though by their configuration they would",
    evidence: both,
  };
}

function duplicate(group: Group, walks: readonly Walked[]): Suspicion[] {
  const { chart, vip } = group;
  const holding = group.members.filter((each) => each.held !== null);
  const [a, b] = holding;
  if (a === undefined || b === undefined) return [];
  const { why, evidence } = whyBoth(group, a, b);
  const text = `${vip}/`;
  return [
    {
      id: "vip-duplicate",
      at: b.host.place,
      summary: `The virtual address ${vip} is on ${names(holding)} at once: ${why}; whoever asks for it reaches now this one, now that one, and connections break at each change`,
      evidence: [
        ...holding.flatMap((each) =>
          each.held === null
            ? []
            : [chart.evidence(each.held, `${each.machine.name}: ${text.slice(0, -1)} on ${each.dev}`)],
        ),
        ...evidence,
      ],
      remedy: [
        why.startsWith("they do not hear")
          ? `# on ${names(holding)}: let VRRP through, for instance`
          : `# on ${names(holding)}: mend keepalived.conf so that they hear each other, then`,
        ...(why.startsWith("they do not hear") ? ["iptables -I INPUT -p 112 -j ACCEPT"] : []),
        "systemctl restart keepalived",
      ],
      hurts: lostOf(walks),
      otherwise: "warning",
    },
  ];
}

/** Why a machine does not take an address that nobody holds. */
function whyNot(member: Member): { why: string; source: Source | null } | null {
  const link = member.host.links.find((each) => each.name === member.dev);
  if (link === undefined) return { why: `${member.machine.name} has no device ${member.dev}`, source: null };
  if (!link.up) return { why: `${member.dev} of ${member.machine.name} is down`, source: link.source };
  if (!link.carrier) return { why: `${member.dev} of ${member.machine.name} has no carrier`, source: link.source };
  const silent = silentBalancer(member);
  return silent === null ? null : { why: `HAProxy does not listen on ${member.machine.name}`, source: silent };
}

/** Line of a frontend on which nothing listens; null when all are served, or nobody can tell. */
function silentBalancer(member: Member): Source | null {
  const { host } = member;
  const conf = haproxyOf(member.machine);
  if (conf === null || host.missing.has("sockets") || host.sockets.length === 0) return null;
  for (const section of conf.sections) {
    if (serversBehind(conf, section).length === 0) continue;
    for (const bind of section.binds)
      if (!host.sockets.some((each) => each.proto === "tcp" && each.state === "LISTEN" && each.port === bind.port))
        return bind.source;
  }
  return null;
}

/** Addresses that may be on a machine that was not recorded: it is among the peers, and nobody here has its address. */
function unseenPeers(group: Group): string[] {
  const known = new Set(
    group.chart.snapshot.namespaces.flatMap((ns) =>
      ns.place.endsWith("/host") ? ns.links.flatMap((link) => link.addresses.map((each) => formatIp(each.ip))) : [],
    ),
  );
  return [...new Set(group.members.flatMap((each) => each.instance.unicastPeers))].filter((peer) => !known.has(peer));
}

function down(group: Group, walks: readonly Walked[]): { suspicions: Suspicion[]; unknown: Undecided[] } {
  const { chart, vip, members } = group;
  const unseen = unseenPeers(group);
  const notRecorded = group.holders.filter((each) => !members.some((member) => member.machine === each.machine));
  if (unseen.length > 0 || notRecorded.length > 0) {
    const who = [...unseen, ...notRecorded.map((each) => each.machine.name)].join(", ");
    const why = `no recorded machine holds the virtual address ${vip}; ${who} may, and was not recorded`;
    return { suspicions: [], unknown: [{ id: "vip-down", at: "cluster", why }] };
  }
  // Somebody beyond what was recorded answers for it.
  if (walks.some((walked) => walked.answer.verdict === "answered")) return { suspicions: [], unknown: [] };
  const reasons = members.map(whyNot);
  const said = reasons.flatMap((each) => (each === null ? [] : [each.why]));
  const because =
    said.length === members.length ? said.join(", ") : "keepalived does not run, or is in FAULT, on every one of them";
  return {
    suspicions: [
      {
        id: "vip-down",
        at: members.length === 1 ? members[0]!.host.place : "cluster",
        summary: `Nobody holds the virtual address ${vip} that ${names(members)} should share: ${because}`,
        evidence: [
          ...members.map((each) => asked(group, each)),
          ...reasons.flatMap((each) =>
            each === null || each.source === null ? [] : [chart.evidence(each.source, each.why)],
          ),
        ],
        remedy: [`# on ${names(members)}:`, "systemctl restart haproxy keepalived", "journalctl -u keepalived -n 50"],
        hurts: lostOf(walks),
        otherwise: "warning",
      },
    ],
    unknown: [],
  };
}

/** One machine holds the address, and its load balancer does not listen. */
function unbalanced(group: Group, walks: readonly Walked[]): Suspicion[] {
  const { chart, vip } = group;
  return group.members.flatMap((member): Suspicion[] => {
    const silent = member.held === null ? null : silentBalancer(member);
    if (member.held === null || silent === null) return [];
    const weightless = member.instance.scripts.every((each) => !each.defined);
    const tracked = weightless ? ", and keepalived there tracks no check that would move the address" : "";
    const hurts = lostOf(walks);
    return [
      {
        id: "vip-down",
        at: member.host.place,
        summary: `${member.machine.name} holds the virtual address ${vip}, but its HAProxy does not listen${tracked}${hurts.length > 0 ? "" : ": as soon as the way past it is closed, nobody answers"}`,
        evidence: [
          chart.evidence(member.held, `${vip} on ${member.dev}`),
          chart.evidence(silent),
          asked(group, member),
        ],
        remedy: [`# on ${member.machine.name}:`, "systemctl restart haproxy"],
        hurts,
        otherwise: "warning",
      },
    ];
  });
}

/** Machines that may hold the address where nobody looks for it. */
function outside(group: Group, walks: readonly Walked[]): Suspicion[] {
  const { chart, vip, members } = group;
  const near = members.filter((each) => each.near);
  const segments = new Map(members.map((each) => [each, segmentOf(chart, each)]));
  // The segment of the address: that of those in whose network it is; where these are on several, that of the first.
  const home = near.length === 0 ? null : (segments.get(near[0]!) ?? null);
  const wrong = members.filter((each) => {
    const segment = segments.get(each) ?? null;
    return !each.near || (home !== null && segment !== null && segment !== home);
  });
  if (wrong.length === 0) return [];
  const whole = wrong.length === members.length;
  const list = whole && members.length > 1 ? [wrong] : wrong.map((each) => [each]);
  return list.map((these): Suspicion => {
    const first = these[0]!;
    const networks = first.host.links
      .find((link) => link.name === first.dev)
      ?.addresses.filter(
        (each) => each.scope === "global" && formatIp(each.ip) !== vip && each.ip.v === (vip.includes(":") ? 6 : 4),
      )
      .map((each) => `${formatIp(each.ip)}/${each.prefixLen}`);
    const segment = segments.get(first) ?? null;
    const where = first.near
      ? `is on segment ${segment}, and the virtual address ${vip} on ${home}`
      : `has ${networks?.join(", ") || "no address"} on ${first.dev}, and the virtual address ${vip} is in no network there`;
    const holding = these.filter((each) => each.held !== null);
    return {
      id: "vip-outside-segment",
      at: these.length > 1 ? "cluster" : first.host.place,
      summary: `${these.length > 1 ? `Each of ${names(these)}` : first.machine.name} ${where}: ${holding.length > 0 ? "its neighbours do not look for it there" : "when it becomes master, nobody finds the address"}, because a floating address works within one segment only`,
      evidence: these.flatMap((each) => {
        const link = each.host.links.find((one) => one.name === each.dev);
        return [
          asked(group, each),
          ...(link === undefined ? [] : [chart.evidence(link.source, `${each.dev} ${networks?.join(", ") ?? ""}`)]),
        ];
      }),
      remedy: [
        `# on ${names(these)}: take the instance ${first.instance.name} out of keepalived.conf, or choose an address in the network of ${first.dev}, then`,
        "systemctl reload keepalived",
      ],
      hurts: holding.length > 0 || whole ? lostOf(walks) : [],
      otherwise: "warning",
    };
  });
}

function examine(group: Group): { suspicions: Suspicion[]; unknown: Undecided[] } {
  const walks = vipWalks(group.chart, group.vip, group.members);
  const held = group.members.some((each) => each.held !== null);
  const nobody = held ? { suspicions: [], unknown: [] } : down(group, walks);
  return {
    suspicions: [
      ...nobody.suspicions,
      ...duplicate(group, walks),
      ...unbalanced(group, walks),
      ...outside(group, walks),
    ],
    unknown: nobody.unknown,
  };
}

export const vip: Check = {
  ids: ["vip-down", "vip-duplicate", "vip-outside-segment"],
  depth: "machine",
  look(chart): Diagnosis {
    const all = vipGroups(chart).map(examine);
    return { suspicions: all.flatMap((each) => each.suspicions), unknown: all.flatMap((each) => each.unknown) };
  },
};
