/** Chains whose names only their program can compute: they are known by what they hold. */
import type { TableWork, WantedChain } from "./table-work.ts";
import type { Tally } from "./tally.ts";

/** Finds the chains whose names are hashes by what they hold, those first that refer to no other such chain. */
export function resolveHashed(work: TableWork): void {
  const claimed = new Set(work.chains.filter((chain) => chain.hashed === null).map((chain) => chain.name));
  const free = new Set(work.actual.filter((chain) => !claimed.has(chain.name)));
  const byName = new Map([...free].map((chain) => [chain.name, chain]));
  let open = work.chains.filter((chain) => chain.hashed !== null && chain.rules !== null);
  const texts = new Map([...free].map((chain) => [chain, chain.rules.map((rule) => rule.canonical).join("\n")]));
  for (;;) {
    const left: WantedChain[] = [];
    for (const chain of open) {
      // A name that is as the claim says wins over what the chain holds.
      const named = byName.get(chain.name);
      const text = (chain.rules ?? []).map((rule) => rule.canonical(work.renames)).join("\n");
      const found =
        named !== undefined && free.has(named)
          ? named
          : [...free].find((each) => each.name.startsWith(chain.hashed ?? "") && texts.get(each) === text);
      if (found === undefined) {
        left.push(chain);
        continue;
      }
      free.delete(found);
      work.renames.set(chain.name, found.name);
      chain.name = found.name;
    }
    if (left.length === open.length) break;
    open = left;
  }
  // What holds nothing that is there: beside the one that is left with its prefix, if there is just one, so that the rules tell the difference.
  for (const chain of open) {
    const rest = [...free].filter((each) => each.name.startsWith(chain.hashed ?? ""));
    const rivals = open.filter((each) => each.hashed === chain.hashed);
    if (rest.length !== 1 || rivals.length !== 1) continue;
    free.delete(rest[0]!);
    work.renames.set(chain.name, rest[0]!.name);
    chain.name = rest[0]!.name;
  }
}

/**
 * Empty chains that a program no longer uses and will remove: an optional claim on an empty chain of a hashed name owns all that are left
 * with its prefix.
 */
export function leftovers(work: TableWork, seen: Set<string>, tally: Tally): void {
  const claims = work.chains.filter((chain) => chain.optional && chain.hashed !== null && chain.rules?.length === 0);
  if (claims.length === 0) return;
  for (const actual of work.actual) {
    if (seen.has(actual.name) || actual.rules.length > 0 || actual.base !== null) continue;
    const owner = claims.find((chain) => actual.name.startsWith(chain.hashed ?? ""))?.owner;
    if (owner === undefined) continue;
    seen.add(actual.name);
    tally.equal(owner, work.at, "chain");
  }
}
