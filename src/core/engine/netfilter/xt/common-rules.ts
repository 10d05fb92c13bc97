/**
 * What the nodes of a cluster have in common: the same chains in the same order, and rules of which one was read and the others are as that
 * one (parse/iptables/save-memory.ts). Kept once for all of them.
 */
import type { XtChain, XtRule } from "../../../model/xtables.ts";

/** So many lists of chains are looked through. */
const MOST_LISTS = 8;

export class CommonRules {
  /** Lists of chains with the place of each name, the last one found first. */
  private readonly lists: { chains: readonly XtChain[]; places: ReadonlyMap<string, number> }[] = [];
  /** Texts by the object that equal rules share. */
  private readonly texts = new WeakMap<XtRule["matches"], { target: XtRule["target"]; text: string }>();

  /** Where each of `chains` stands among them, by name. */
  places(chains: readonly XtChain[]): ReadonlyMap<string, number> {
    const at = this.lists.findIndex((each) => sameNames(each.chains, chains));
    const [found] =
      at < 0
        ? [{ chains, places: new Map(chains.map((chain, place) => [chain.name, place])) }]
        : this.lists.splice(at, 1);
    this.lists.unshift(found!);
    if (this.lists.length > MOST_LISTS) this.lists.pop();
    return found!.places;
  }

  /** The text of a rule, which `read` gives when it is not known yet. */
  text(rule: XtRule, read: () => string): string {
    const known = this.texts.get(rule.matches);
    if (known !== undefined && known.target === rule.target) return known.text;
    const text = read();
    this.texts.set(rule.matches, { target: rule.target, text });
    return text;
  }
}

function sameNames(a: readonly XtChain[], b: readonly XtChain[]): boolean {
  if (a.length !== b.length) return false;
  // Most are the very same strings.
  for (let i = 0; i < a.length; i++) if (a[i]!.name !== b[i]!.name) return false;
  return true;
}
