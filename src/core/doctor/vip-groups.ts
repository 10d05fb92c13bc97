/** Floating addresses of keepalived, with the machines that may hold them and where the kernel has them. */
import { inPrefix, parseIp, prefixOf, sameIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Source } from "../model/source.ts";
import type { Contender } from "../networks/vip/election.ts";
import { sourceOf, virtualAddresses, type Holder } from "../networks/vip/recorded.ts";
import type { Chart } from "./chart.ts";
import type { Evidence } from "./types.ts";

/** A machine with an instance for the address, and what its kernel shows. */
export interface Member extends Holder {
  host: Namespace;
  /** Device of the address by the configuration. */
  dev: string;
  /** Line of the address in keepalived.conf. */
  asked: Source;
  /** Where the kernel has the address; null when it has not. */
  held: Source | null;
  /** A network of the device holds the address. */
  near: boolean;
}

/** An address, and the machines that may hold it. */
export interface Group {
  chart: Chart;
  vip: string;
  members: Member[];
  holders: Holder[];
}

function memberOf(chart: Chart, vip: string, holder: Holder): Member | null {
  const host = chart.dir.places.get(holder.machine.place);
  const ip = parseIp(vip);
  const virtual = holder.instance.addresses.find((each) => each.address === vip);
  if (host === undefined || host.missing.has("addr") || ip === null || virtual === undefined) return null;
  const dev = virtual.dev ?? holder.instance.interface;
  // A real server behind a director has the address on a loopback device, where it answers nobody.
  const holding = host.links.find(
    (link) =>
      link.kind.kind !== "loopback" && link.kind.kind !== "dummy" && link.addresses.some((each) => sameIp(each.ip, ip)),
  );
  const link = host.links.find((each) => each.name === dev);
  const near =
    link?.addresses.some(
      (each) =>
        each.ip.v === ip.v &&
        !sameIp(each.ip, ip) &&
        each.scope === "global" &&
        inPrefix(ip, prefixOf(each.ip, each.prefixLen)),
    ) === true;
  return { ...holder, host, dev, asked: virtual.source, held: holding?.source ?? null, near };
}

/** The segment of a machine's device; null when nothing was recorded of it. */
export function segmentOf(chart: Chart, member: Member): string | null {
  for (const { name, attached } of chart.snapshot.fabric?.segments ?? [])
    if (attached.some((each) => each.node === member.machine.name && each.dev === member.dev)) return name;
  return null;
}

/** Where the configuration names the address. */
export const asked = ({ chart }: Group, member: Member): Evidence => chart.evidence(member.asked);

/** `n1 and n2`. */
export const names = (members: readonly Member[]): string => members.map((each) => each.machine.name).join(" and ");

/** The machine as VRRP has it. */
export const contender = (group: Group, member: Member): Contender => ({
  node: member.machine.name,
  instance: member.instance,
  source: sourceOf(member.machine, member.instance, group.vip) ?? "",
  ready: true,
  scripts: new Map(),
  master: false,
});

/** Every floating address that some recorded machine may hold. */
export function vipGroups(chart: Chart): Group[] {
  return [...virtualAddresses(chart.site).byAddress].flatMap(([address, holders]): Group[] => {
    const members = holders.map((each) => memberOf(chart, address, each)).filter((each) => each !== null);
    return members.length === 0 ? [] : [{ chart, vip: address, members, holders }];
  });
}
