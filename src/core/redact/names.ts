/** Which words of a snapshot are names, and what takes their place. */
import { isVocabulary } from "./vocabulary.ts";

/** What a name names; the word that takes its place begins with it. */
export type NameKind = "node" | "ns" | "pod" | "svc" | "policy" | "name" | "label" | "host" | "domain";

/**
 * In this order: a word that names several things gets the place of the first. Policies come before all, since Calico asks them in the order
 * of their names.
 */
const ORDER: readonly NameKind[] = ["policy", "node", "ns", "svc", "pod", "host", "domain", "label", "name"];

/** A name as Kubernetes allows it (RFC 1123), or a label's value; nothing else is one word in every file. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;

/** Collects names and gives each its replacement. */
export class Names {
  private readonly found = new Map<string, NameKind>();
  private readonly given = new Map<string, string>();

  /** `known`: replacements that were given before, which stay. */
  constructor(known: Readonly<Record<string, string>> = {}) {
    for (const [name, by] of Object.entries(known)) this.given.set(name, by);
  }

  add(kind: NameKind, name: unknown): void {
    if (typeof name !== "string" || !NAME.test(name) || isVocabulary(name)) return;
    const known = this.found.get(name);
    if (known === undefined || ORDER.indexOf(kind) < ORDER.indexOf(known)) this.found.set(name, kind);
  }

  /**
   * Every name by its replacement: the kind and a number, by the order of the names; those of policies have as many digits as it takes for
   * that to be the order of the replacements, too. No replacement is a name that was there. `fits` may turn a
   * replacement down, and is then asked about the next.
   */
  finish(fits: (name: string, by: string, given: ReadonlyMap<string, string>) => boolean): Map<string, string> {
    const taken = new Set([...this.found.keys(), ...this.given.values()]);
    const next = new Map<NameKind, number>();
    const digits = String([...this.found.values()].filter((kind) => kind === "policy").length).length + 1;
    // Pods last: devices are named after their namespaces, too.
    const order = ([name, kind]: [string, NameKind]): string => `${kind === "pod" ? 1 : 0} ${name}`;
    for (const [name, kind] of [...this.found].toSorted((a, b) => (order(a) < order(b) ? -1 : 1))) {
      if (this.given.has(name)) continue;
      let by: string;
      do {
        const n = (next.get(kind) ?? 0) + 1;
        next.set(kind, n);
        by = kind === "policy" ? `${kind}-${String(n).padStart(digits, "0")}` : `${kind}-${n}`;
        if (kind === "domain" || kind === "host") by += ".example";
      } while (taken.has(by) || !fits(name, by, this.given));
      taken.add(by);
      this.given.set(name, by);
    }
    return this.given;
  }

  /** Names of one kind. */
  of(kind: NameKind): string[] {
    return [...this.found].filter(([, each]) => each === kind).map(([name]) => name);
  }
}
