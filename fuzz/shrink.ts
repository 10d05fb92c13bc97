/** Makes a failing case small: drops whatever it still fails without. */
import type { Answer } from "../src/core/model/walk.ts";
import type { Agent } from "./agent.ts";
import type { Files } from "./collect.ts";
import { compare, question } from "./compare.ts";
import { ask } from "../src/core/engine/walk.ts";
import { type Left, leavesBehind, open } from "./engine.ts";
import { type Entry, entriesDiffer, PROTO } from "./entries.ts";
import { Scene } from "./scene.ts";
import type { Item, Observed, Probe, RuleItem, Ruleset, World } from "./world.ts";

/** A case as it came out of one try. */
export interface Reproduced {
  kind: "verdict" | "entries";
  world: World;
  rules: RuleItem[];
  probe: Probe;
  observed: Observed;
  answer: Answer;
  files: Files;
  why: string;
}

/** Builds a case from nothing, sends its packet, and compares. Null when both sides agree (or the engine fails to load it). */
export async function reproduce(
  agent: Agent,
  world: World,
  rules: RuleItem[],
  probe: Probe,
  patient = false,
): Promise<Reproduced | null> {
  const scene = await Scene.build(agent, world);
  const ruleset = { items: [...rules] };
  await scene.rules(ruleset);
  const { seen, entries } = await scene.sendAndList([probe], patient);
  const o = seen[0]!;
  const loaded = open(scene.files);
  const answer = ask(loaded, question(probe));
  const c = compare(answer, o);
  const found = { world, rules: ruleset.items, probe, observed: o, answer, files: scene.files };
  if (c.kind === "differs") return { ...found, kind: "verdict", why: c.why };
  if (c.kind !== "same") return null;
  const left = leavesBehind(loaded, question(probe));
  const why = left === null ? null : unlike(left, o, entries, probe, ruleset);
  return why === null ? null : { ...found, kind: "entries", why };
}

/** Rules after which a connection's mark is that of its latest packet: how many a TCP conversation has, a walk does not say. */
const COPIES = /save-mark|ct mark set (?!\d)|xor-mark|set-xmark/;

/** How the kernel's entries differ from what every way of the walk leaves that ends like this; null when one agrees. */
export function unlike(
  left: readonly Left[],
  o: Observed,
  entries: readonly Entry[],
  p: Probe,
  ruleset: Ruleset,
): string | null {
  const ways = left.filter((w) => w.client === o.client);
  const how = {
    proto: PROTO[p.proto](p.family),
    port: p.sport,
    all: o.client === "answered",
    marks: p.proto !== "tcp" || !ruleset.items.some((i) => "text" in i && COPIES.test(i.text)),
  };
  const all = ways.map((w) => entriesDiffer(entries, w.entries, how));
  return all.includes(null) ? null : (all[0] ?? null);
}

/** What must stay the same while a case shrinks, so that it does not turn into another one. */
export function signature(r: Pick<Reproduced, "kind" | "observed" | "answer">): string {
  const told = [...new Set(r.answer.outcomes.map((o) => `${o.client}/${o.disposition}`))].sort();
  return `${r.kind} ${r.observed.client} ${r.observed.delivered ? "delivered " : ""}≠ ${told.join(",")}`;
}

/**
 * Shrinks within `budget` tries. Chunks first, then one by one (ddmin); items of feature "base" stay.
 * A try is believed only when a patient one agrees at the end.
 */
export async function shrink(agent: Agent, start: Reproduced, budget: number): Promise<Reproduced> {
  let best = start;
  let left = budget;
  const wanted = signature(start);
  const attempt = async (items: Item[], rules: RuleItem[], probe: Probe): Promise<boolean> => {
    if (left-- <= 0) return false;
    const r = await reproduce(agent, { namespaces: best.world.namespaces, items }, rules, probe).catch(() => null);
    if (r === null || signature(r) !== wanted) return false;
    best = r;
    return true;
  };
  for (const key of ["mark", "ttl", "size"] as const) {
    if (best.probe[key] === undefined) continue;
    const { [key]: _, ...probe } = best.probe;
    await attempt(best.world.items, best.rules, probe as Probe);
  }
  await attempt(best.world.items, [], best.probe);
  let again = true;
  while (again && left > 0) {
    const before = best.rules.length + best.world.items.length;
    await drop(
      () => best.rules,
      (rules) => attempt(best.world.items, rules, best.probe),
    );
    await drop(
      () => best.world.items.filter((i) => i.feature !== "base"),
      (items) => attempt([...best.world.items.filter((i) => i.feature === "base"), ...items], best.rules, best.probe),
    );
    again = best.rules.length + best.world.items.length < before;
  }
  return best;
}

async function drop<T>(current: () => readonly T[], attempt: (rest: T[]) => Promise<boolean>): Promise<void> {
  for (let size = Math.ceil(current().length / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0) {
    for (let at = 0; at < current().length;) {
      const list = current();
      const rest = [...list.slice(0, at), ...list.slice(at + size)];
      if (!(await attempt(rest))) at += size;
    }
  }
}
