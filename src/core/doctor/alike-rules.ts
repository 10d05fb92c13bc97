/**
 * Nodes whose Services' chains are the same. kube-proxy writes the same chains on all nodes of a cluster, nearly; what one node's lead to need
 * not be found out again for hundreds of others.
 */
import { alikeRules, type XtChain, type XtRule } from "../model/xtables.ts";

/** So many tables are compared with. */
const MOST_TABLES = 4;

interface KnownTable {
  chains: readonly XtChain[];
  places: ReadonlyMap<string, number>;
  /** Which of the chains the Services' rules can lead to. */
  reached: Uint8Array;
  count: number;
}

/** Tables that were met, in one cluster. */
export class AlikeTables {
  private readonly known: KnownTable[] = [];

  /**
   * An object that stands for the chains of a table that `entrances` lead to, the same one for every table in which these chains and all that
   * they lead to have the same rules but for lines and counters. The entrances themselves may differ: kube-proxy writes their rules in the
   * order of a Go map.
   */
  tokenOf(chains: readonly XtChain[], entrances: readonly string[]): object {
    const found = this.known.find((each) => isAlike(each, chains));
    if (found !== undefined) return found;
    const places = new Map(chains.map((chain, place) => [chain.name, place]));
    const made = { chains, places, ...reachedFrom(chains, places, entrances) };
    this.known.push(made);
    if (this.known.length > MOST_TABLES) this.known.shift();
    return made;
  }
}

function reachedFrom(
  chains: readonly XtChain[],
  places: ReadonlyMap<string, number>,
  entrances: readonly string[],
): { reached: Uint8Array; count: number } {
  const reached = new Uint8Array(chains.length);
  let count = 0;
  const open: string[] = [];
  const follow = (place: number | undefined): void => {
    if (place === undefined) return;
    for (const { target } of alikeRules(chains[place]!))
      if (target.t === "jump" || target.t === "goto") open.push(target.chain);
  };
  for (const name of entrances) follow(places.get(name));
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const place = places.get(name);
    if (place === undefined || reached[place] === 1) continue;
    reached[place] = 1;
    count++;
    follow(place);
  }
  return { reached, count };
}

/** Whether `chains` have all that is reached in `known`, with the same rules. */
function isAlike({ chains: theirs, places, reached, count }: KnownTable, chains: readonly XtChain[]): boolean {
  let met = 0;
  let next = 0;
  for (const chain of chains) {
    // Nearly always in the same order.
    const place = theirs[next]?.name === chain.name ? next : places.get(chain.name);
    if (place === undefined) continue;
    next = place + 1;
    if (reached[place] !== 1) continue;
    if (theirs[place] !== chain && !sameRules(alikeRules(theirs[place]!), alikeRules(chain))) return false;
    met++;
  }
  return met === count;
}

function sameRules(a: readonly XtRule[], b: readonly XtRule[]): boolean {
  if (a === b) return true;
  // What was read only once is the same object.
  return a.length === b.length && a.every((rule, i) => rule.matches === b[i]!.matches && rule.target === b[i]!.target);
}
