/** Compares the kernel settings that networks want; all others are the machine's own business. */
import type { Namespace } from "../model/namespace.ts";
import type { Claim } from "../networks/claim.ts";
import type { Tally } from "./tally.ts";

export function compareSysctls(ns: Namespace, claims: readonly Claim[], tally: Tally): void {
  const why = ns.missing.get("sysctl");
  for (const claim of claims) {
    if (claim.kind !== "sysctl") continue;
    const { key, value } = claim.state;
    const actual = ns.sysctls.values.get(key);
    if (actual === undefined) {
      if (claim.optional === true) continue;
      if (why !== undefined) tally.unknown.push({ at: ns.place, what: `sysctl ${key}`, why });
      else tally.differs(claim.owner, ns.place, "sysctl", { key, value }, null, { file: ns.sysctls.file, line: 1 });
    } else if (actual.value === value) tally.equal(claim.owner, ns.place, "sysctl");
    else {
      const source = { file: ns.sysctls.file, line: actual.line };
      tally.differs(claim.owner, ns.place, "sysctl", { key, value }, { key, value: actual.value }, source);
    }
  }
}
