/** Who holds a virtual address: VRRP's election (RFC 9568 section 6.4; keepalived vrrp/vrrp.c, vrrp_track.c). */
import { compareIp, parseIp } from "../../model/address.ts";
import type { TrackedScript, VrrpInstance } from "./keepalived-read.ts";

/** An instance on a machine, and how its machine is. */
export interface Contender {
  node: string;
  instance: VrrpInstance;
  /** The address that its adverts come from: unicast_src_ip, else the first of its device. */
  source: string;
  /** Its device, and those that it tracks, are up and keepalived runs. */
  ready: boolean;
  /** Outcome of each tracked script; one that is not named counts as succeeding. */
  scripts: ReadonlyMap<string, boolean>;
  /** Whether it is MASTER now. */
  master: boolean;
}

export interface Standing {
  node: string;
  state: "MASTER" | "BACKUP" | "FAULT";
  /** With what its scripts add; 0 in FAULT. */
  priority: number;
  because: string;
}

/** What can be said of an election: its standings, or that several nodes may hold the address and only history decides. */
export interface Election {
  standings: Standing[];
  /** Nodes that hold the address: one when all is well, several when they do not hear each other. */
  holders: string[];
  /** Equal in priority and source unknown: any one of these may be the master. */
  undecided: string[];
}

/** A priority stays within 1 and 254; 255 is the address's owner and never changes (vrrp_set_effective_priority). */
const LEAST = 1;
const MOST = 254;
const OWNER = 255;

/** A script counts only when the file defines it. */
const counts = (script: TrackedScript): boolean => script.defined;

/** Priority with what scripts add and take; 0 when a script without weight fails, or the machine is not ready. */
export function effectivePriority(contender: Contender): number {
  if (!contender.ready) return 0;
  let priority = contender.instance.priority;
  for (const script of contender.instance.scripts.filter(counts)) {
    const succeeds = contender.scripts.get(script.name) ?? true;
    if (script.weight === 0 && !succeeds) return 0;
    if (script.weight > 0 && succeeds) priority += script.weight;
    if (script.weight < 0 && !succeeds) priority += script.weight;
  }
  return contender.instance.priority === OWNER ? OWNER : Math.min(MOST, Math.max(LEAST, priority));
}

/**
 * Whether `to` takes an advert of `from`: the same router id, the same password; by unicast when `from` sends to its address, whoever
 * `to` itself sends to (keepalived asks for the source only with check_unicast_src); by multicast when both are on one segment
 * (`together`).
 */
export function hears(from: Contender, to: Contender, together: (a: string, b: string) => boolean): boolean {
  const [a, b] = [from.instance, to.instance];
  if (a.routerId !== b.routerId || a.password !== b.password) return false;
  if (a.unicastPeers.length === 0 && b.unicastPeers.length === 0) return together(from.node, to.node);
  return b.unicastPeers.length > 0 && a.unicastPeers.includes(to.source);
}

/** Which of two wins: the higher priority, of equals the higher source address (RFC 9568 6.4.3). */
function beats(a: Contender, b: Contender): number {
  const byPriority = effectivePriority(a) - effectivePriority(b);
  const [x, y] = [parseIp(a.source), parseIp(b.source)];
  return byPriority || (x === null || y === null ? 0 : compareIp(x, y));
}

/** Where an election stands: who is master, and who only history could tell. */
interface Tally {
  masters: Set<Contender>;
  undecided: Set<Contender>;
}

type Hearing = (listener: Contender, of: Iterable<Contender>) => Contender[];

/** One step of the election; false when nothing changes any more. */
function step(tally: Tally, able: readonly Contender[], heard: Hearing): boolean {
  const { masters, undecided } = tally;
  for (const master of masters)
    if (heard(master, masters).some((other) => beats(other, master) > 0)) return masters.delete(master);
  const backups = able.filter((each) => !masters.has(each) && !undecided.has(each));
  const bold = backups.find((each) => {
    const above = heard(each, masters);
    return (
      above.length > 0 && !each.instance.noPreempt && above.every((m) => effectivePriority(m) < effectivePriority(each))
    );
  });
  if (bold !== undefined) {
    masters.add(bold);
    return true;
  }
  // Those that hear no master wait for three adverts and a skew that is the shorter the higher their priority is.
  const waiting = backups.filter((each) => heard(each, masters).length === 0 && heard(each, undecided).length === 0);
  const ranked = waiting.toSorted((a, b) => effectivePriority(b) - effectivePriority(a));
  const equals = (each: Contender): Contender[] =>
    heard(each, waiting).filter((other) => effectivePriority(other) >= effectivePriority(each));
  const sure = ranked.find((each) => equals(each).length === 0);
  const [next] = ranked;
  if (next === undefined) return false;
  if (sure !== undefined) tally.masters.add(sure);
  else for (const each of [next, ...equals(next)]) tally.undecided.add(each);
  return true;
}

/** Why a contender stands where it stands. */
function reason(contender: Contender, { masters, undecided }: Tally, heard: Hearing): string {
  const priority = effectivePriority(contender);
  if (priority === 0)
    return contender.ready ? "a check without weight fails" : "its device is down or keepalived does not run";
  if (undecided.has(contender)) return `another node has its priority ${priority}, too: whoever was first stays`;
  const [above] = heard(contender, masters).toSorted((a, b) => beats(b, a));
  if (above !== undefined && !masters.has(contender))
    return `hears ${above.node} with priority ${effectivePriority(above)} against its own ${priority}`;
  if (masters.has(contender)) return `nobody that it hears is above its priority ${priority}`;
  return "hears nodes of which any may be master";
}

/**
 * The outcome once adverts have gone round. A backup takes over from a lower priority only, and with nopreempt not even then, so among
 * equals a master stays; two masters that hear each other are settled by priority, then by address. When nobody is master as yet and the
 * first are equal, who wins is history. `together` tells whether two machines are on one segment.
 */
export function elect(contenders: readonly Contender[], together: (a: string, b: string) => boolean): Election {
  const able = contenders.filter((each) => effectivePriority(each) > 0);
  const heard: Hearing = (listener, of) =>
    [...of].filter((other) => other !== listener && hears(other, listener, together));
  const tally: Tally = { masters: new Set(able.filter((each) => each.master)), undecided: new Set() };
  // Each step settles a node for good or moves an address up; twice the nodes is more than enough.
  for (let left = 2 * contenders.length + 2; left > 0 && step(tally, able, heard); left--);
  const state = (each: Contender): Standing["state"] =>
    effectivePriority(each) === 0 ? "FAULT" : tally.masters.has(each) ? "MASTER" : "BACKUP";
  return {
    standings: contenders.map((each) => ({
      node: each.node,
      state: state(each),
      priority: effectivePriority(each),
      because: reason(each, tally, heard),
    })),
    holders: contenders.filter((each) => tally.masters.has(each)).map((each) => each.node),
    undecided: contenders.filter((each) => tally.undecided.has(each)).map((each) => each.node),
  };
}
