/** Compares the chains and rules of one table of iptables or nftables. */
import { leftovers, resolveHashed } from "./hashed-chains.ts";
import { matchInOrder } from "./in-order.ts";
import type { ActualChain, TableWork, WantedChain, WantedInChain, WantedRule } from "./table-work.ts";
import type { Tally } from "./tally.ts";
import type { Piece } from "./types.ts";

/** Compares one table's chains, the rules of those that have one owner, and the rules of many owners in the others. */
export function compareTable(work: TableWork, tally: Tally): void {
  resolveHashed(work);
  const there = new Map(work.actual.map((chain) => [chain.name, chain]));
  const inChains = new Map<string, WantedInChain[]>();
  for (const wanted of work.rules) {
    const list = inChains.get(wanted.chain);
    if (list === undefined) inChains.set(wanted.chain, [wanted]);
    else list.push(wanted);
  }
  const seen = new Set<string>();
  for (const chain of work.chains) {
    // A chain that two owners want, such as a set-mark chain that each of them makes when it is missing.
    const again = seen.has(chain.name);
    const actual = there.get(chain.name);
    if (actual === undefined) {
      if (!chain.optional && !again) missingChain(work, chain, tally);
      seen.add(chain.name);
      continue;
    }
    seen.add(chain.name);
    if (again) continue;
    compareDeclaration(work, chain, actual, tally);
    if (chain.rules !== null) compareOwned(work, chain, actual, tally);
    else compareShared(work, inChains.get(chain.name) ?? [], actual, tally);
  }
  leftovers(work, seen, tally);
  for (const actual of work.actual) {
    if (seen.has(actual.name)) continue;
    seen.add(actual.name);
    if (work.ofKernel(actual)) tally.equal("kernel", work.at, "chain");
    else tally.nobodys(work.at, "chain", chainText(work, actual), actual.source);
    compareShared(work, inChains.get(actual.name) ?? [], actual, tally);
  }
  for (const [chain, wanted] of inChains) {
    if (seen.has(chain)) continue;
    for (const { owner, optional, rule } of wanted) {
      if (!optional)
        tally.differs(owner, work.at, "rule", rulePiece(work, chain, rule.text(chain)), null, work.listing);
    }
  }
}

function rulePiece(work: TableWork, chain: string, rule: string): Piece {
  return { ...work.table, chain, rule };
}

function chainText(work: TableWork, chain: ActualChain): string {
  const base = chain.base === null ? "" : ` (${Object.values(chain.base).join(" ")})`;
  return `${String(work.table["family"])} ${String(work.table["table"])} ${chain.name}${base}`;
}

function missingChain(work: TableWork, chain: WantedChain, tally: Tally): void {
  const piece = { ...work.table, chain: chain.name, ...chain.base };
  tally.differs(chain.owner, work.at, "chain", piece, null, work.listing);
  for (const rule of chain.rules ?? [])
    tally.differs(chain.owner, work.at, "rule", rulePiece(work, chain.name, rule.text(chain.name)), null, work.listing);
}

function compareDeclaration(work: TableWork, chain: WantedChain, actual: ActualChain, tally: Tally): void {
  const same =
    chain.base === null ||
    (actual.base !== null && Object.entries(chain.base).every(([name, value]) => actual.base?.[name] === value));
  if (same) tally.equal(chain.owner, work.at, "chain");
  else {
    const piece = (base: Piece | null): Piece => ({ ...work.table, chain: chain.name, ...base });
    tally.differs(chain.owner, work.at, "chain", piece(chain.base), piece(actual.base), actual.source);
  }
}

/** The wanted rules, those of free order in the order in which the chain has them; of these, the missing ones come last. */
function inActualOrder(work: TableWork, chain: WantedChain, actual: ActualChain): readonly WantedRule[] {
  const rules = chain.rules ?? [];
  if (chain.freeOrder < 2) return rules;
  const places = new Map<string, number[]>();
  // From the last on, so that the first place is the one popped first.
  for (let i = actual.rules.length - 1; i >= 0; i--) {
    const list = places.get(actual.rules[i]!.canonical);
    if (list === undefined) places.set(actual.rules[i]!.canonical, [i]);
    else list.push(i);
  }
  const placed = rules.slice(0, chain.freeOrder).map((rule) => ({
    rule,
    place: places.get(rule.canonical(work.renames))?.pop() ?? Number.POSITIVE_INFINITY,
  }));
  placed.sort((a, b) => (a.place === b.place ? 0 : a.place - b.place));
  return [...placed.map(({ rule }) => rule), ...rules.slice(chain.freeOrder)];
}

const COMMENT = / -m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+)/g;

/** What of a rule of this chain is compared. */
const compared = (canonical: string, chain: WantedChain): string =>
  chain.freeComments ? canonical.replace(COMMENT, "") : canonical;

function compareOwned(work: TableWork, chain: WantedChain, actual: ActualChain, tally: Tally): void {
  const rules = inActualOrder(work, chain, actual);
  const places = matchInOrder(
    rules.map((rule) => compared(rule.canonical(work.renames), chain)),
    actual.rules.map((rule) => compared(rule.canonical, chain)),
  );
  let next = 0;
  // Rules that are there but not wanted, up to `end`, each beside a wanted one that is missing at the same place.
  const between = (missing: readonly WantedRule[], end: number): void => {
    const extra = actual.rules.slice(next, end);
    for (let k = 0; k < Math.max(missing.length, extra.length); k++) {
      const want = missing[k];
      const is = extra[k];
      tally.differs(
        chain.owner,
        work.at,
        "rule",
        want === undefined ? null : rulePiece(work, chain.name, want.text(chain.name)),
        is === undefined ? null : rulePiece(work, chain.name, is.text()),
        is?.source ?? actual.source,
      );
    }
  };
  let missing: WantedRule[] = [];
  let equal = 0;
  rules.forEach((rule, i) => {
    const place = places[i]!;
    if (place < 0) {
      missing.push(rule);
      return;
    }
    between(missing, place);
    missing = [];
    equal++;
    next = place + 1;
  });
  between(missing, actual.rules.length);
  if (equal > 0) tally.equal(chain.owner, work.at, "rule", equal);
}

/** The first place of a rule that nobody has taken. */
function anywhere(work: TableWork, claim: WantedInChain, actual: ActualChain, taken: ReadonlySet<number>): number {
  const canonical = claim.rule.canonical(work.renames);
  return actual.rules.findIndex((rule, i) => !taken.has(i) && rule.canonical === canonical);
}

/** Each owner's rules in the order of its claims; what is left over is nobody's. */
function compareShared(work: TableWork, wanted: readonly WantedInChain[], actual: ActualChain, tally: Tally): void {
  const taken = new Set<number>();
  const owners = new Map<string, WantedInChain[]>();
  for (const each of wanted) {
    const list = owners.get(each.owner);
    if (list === undefined) owners.set(each.owner, [each]);
    else list.push(each);
  }
  for (const [owner, claims] of owners) {
    const free = actual.rules.map((_, i) => i).filter((i) => !taken.has(i));
    const places = matchInOrder(
      claims.map((claim) => claim.rule.canonical(work.renames)),
      free.map((i) => actual.rules[i]!.canonical),
    );
    for (const place of places) if (place >= 0) taken.add(free[place]!);
    claims.forEach((claim, i) => {
      const place = places[i]! >= 0 ? free[places[i]!]! : claim.freeOrder ? anywhere(work, claim, actual, taken) : -1;
      if (place >= 0) {
        taken.add(place);
        tally.equal(owner, work.at, "rule");
      } else if (!claim.optional) {
        tally.differs(
          owner,
          work.at,
          "rule",
          rulePiece(work, actual.name, claim.rule.text(actual.name)),
          null,
          actual.source,
        );
      }
    });
  }
  actual.rules.forEach((rule, i) => {
    if (!taken.has(i)) tally.nobodys(work.at, "rule", rule.text(), rule.source);
  });
}
