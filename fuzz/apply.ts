/** Turns a world and its rulesets into kernel state, through an agent. */
import type { Agent, Job } from "./agent.ts";
import { NEIGHBOUR_SETTINGS } from "./generate/addresses.ts";
import type { Item, Phase, RuleItem, Ruleset, World } from "./world.ts";

const PHASES: readonly Phase[] = ["sysctl-before", "link", "upper", "address", "fdb", "sysctl", "route", "server"];

/** What the kernel or a tool would not take: item's text and why. Such items have no effect, and the snapshot does not show them. */
export interface Refusal {
  text: string;
  why: string;
}

/** Builds a world in fresh namespaces (what was there before is removed). Answers what was refused. */
export async function applyWorld(agent: Agent, world: World): Promise<Refusal[]> {
  await agent.destroy();
  await agent.create(world.namespaces);
  const refusals: Refusal[] = [];
  for (const phase of PHASES) {
    const items = world.items.filter((i) => i.phase === phase);
    await onePhase(agent, world, items, refusals);
    if (phase === "address")
      await agent.writeSysctls(
        world.namespaces.flatMap((ns) => NEIGHBOUR_SETTINGS.map(([p, v]): [string, string, string] => [ns, p, v])),
      );
  }
  // The root namespace of a real node has no name either.
  await agent.unname(world.namespaces[0]!);
  return refusals;
}

async function onePhase(agent: Agent, world: World, items: Item[], refusals: Refusal[]): Promise<void> {
  const name = (i: Item): string => world.namespaces[i.ns]!;
  const settings = items.flatMap((i): [string, string, string][] =>
    i.kind === "sysctl" ? [[name(i), i.path, i.value]] : [],
  );
  if (settings.length > 0)
    for (const [ns, path, why] of await agent.writeSysctls(settings)) refusals.push({ text: `${ns} ${path}`, why });
  const servers = items.flatMap((i) => (i.kind === "server" ? [{ ...i.server, ns: name(i) }] : []));
  if (servers.length > 0) {
    for (const s of servers) {
      const why = await agent.serve([s]);
      if (why !== null) refusals.push({ text: JSON.stringify(s), why });
    }
  }
  const jobs: Job[] = [];
  const texts: string[][] = [];
  for (const [tool, kind] of [
    ["ip", "ip"],
    ["bridge", "bridge"],
  ] as const) {
    world.namespaces.forEach((ns, n) => {
      const lines = items.flatMap((i) => (i.ns === n && i.kind === kind ? [i.text] : []));
      for (const family of tool === "ip" ? (["-4", "-6"] as const) : ([""] as const)) {
        // `ip rule` alone needs to be told the family; all else speaks for itself.
        const some = family === "" ? lines : lines.filter((l) => isV6(l) === (family === "-6"));
        if (some.length === 0) continue;
        jobs.push({
          ns,
          argv: [tool, ...(family === "" ? [] : [family]), "-force", "-batch", "-"],
          stdin: `${some.join("\n")}\n`,
        });
        texts.push(some);
      }
    });
  }
  // One at a time: devices of one namespace are made from another.
  const results = await agent.run(jobs, items.some((i) => i.phase !== "route") ? 1 : 4);
  results.forEach((r, i) => {
    for (const m of r.err.matchAll(/^(.*)\n?Command failed -:(\d+)/gm))
      refusals.push({ text: `${jobs[i]!.ns} ${texts[i]![Number(m[2]) - 1]}`, why: m[1]! });
  });
}

const isV6 = (line: string): boolean =>
  !line.startsWith("link") &&
  (/[0-9a-f]*:[0-9a-f]*:/.test(line.replace(/lladdr \S+|address \S+/g, "")) ||
    line.endsWith(" family6") ||
    / proto6 /.test(line));

/** Replaces all rules and sets. Lines that a tool refuses are taken out of `ruleset.items`, so that it says what is really there. */
export async function applyRuleset(agent: Agent, world: World, ruleset: Ruleset): Promise<Refusal[]> {
  const refusals: Refusal[] = [];
  // nft's flush takes iptables-nft with it; sets can only go once no rule names them.
  await agent.run(
    world.namespaces.map((ns) => ({ ns, argv: ["nft", "flush", "ruleset"] })),
    8,
  );
  const legacy = [4, 6] as const;
  const emptied = world.namespaces.flatMap((ns) =>
    legacy.map((f): Job => ({
      ns,
      argv: [f === 4 ? "iptables-legacy-restore" : "ip6tables-legacy-restore"],
      stdin: EMPTY,
    })),
  );
  await agent.run(usedLegacy(world) ? emptied : [], 8);
  if (usedSets(world))
    await agent.run(
      world.namespaces.map((ns) => ({ ns, argv: ["ipset", "destroy"] })),
      8,
    );
  const scripts = await Promise.resolve(rulesetScripts(world, ruleset));
  let todo = scripts.filter((s) => s.tool === "ipset");
  await load(agent, ruleset, todo, refusals);
  todo = scripts.filter((s) => s.tool !== "ipset");
  await load(agent, ruleset, todo, refusals);
  return refusals;
}

const EMPTY = ["raw", "mangle", "nat", "filter"].map((t) => `*${t}\nCOMMIT\n`).join("");
const legacyWorlds = new WeakSet<World>();
const setWorlds = new WeakSet<World>();
/** Whether some ruleset of this world has used the legacy backend: its tables stay registered, empty or not. */
export const usedLegacy = (world: World): boolean => legacyWorlds.has(world);
const usedSets = (world: World): boolean => setWorlds.has(world);

interface Script {
  tool: string;
  ns: string;
  /** Each line, with the item that it stands for. */
  lines: { text: string; item: RuleItem | null }[];
}

function rulesetScripts(world: World, ruleset: Ruleset): Script[] {
  const out: Script[] = [];
  world.namespaces.forEach((ns, n) => {
    const items = ruleset.items.filter((i) => i.ns === n);
    const lines = (kind: "ipset" | "nft"): Script["lines"] =>
      items.flatMap((i) => (i.kind === kind ? [{ text: i.text, item: i }] : []));
    const sets = lines("ipset");
    if (sets.length > 0) {
      setWorlds.add(world);
      out.push({ tool: "ipset", ns, lines: sets });
    }
    const nft = lines("nft");
    if (nft.length > 0) out.push({ tool: "nft", ns, lines: nft });
    for (const backend of ["nft", "legacy"] as const) {
      for (const family of [4, 6] as const) {
        const text = restoreScript(items, backend, family);
        if (text.length === 0) continue;
        if (backend === "legacy") legacyWorlds.add(world);
        out.push({ tool: `${family === 4 ? "iptables" : "ip6tables"}-${backend}-restore`, ns, lines: text });
      }
    }
  });
  return out;
}

function restoreScript(items: RuleItem[], backend: string, family: 4 | 6): Script["lines"] {
  const out: Script["lines"] = [];
  for (const table of ["raw", "mangle", "nat", "filter"]) {
    const mine = items.filter(
      (i) =>
        (i.kind === "xt-chain" || i.kind === "xt-rule") &&
        i.backend === backend &&
        i.family === family &&
        i.table === table,
    );
    if (mine.length === 0) continue;
    out.push({ text: `*${table}`, item: null });
    for (const i of mine)
      if (i.kind === "xt-chain") out.push({ text: `:${i.chain} ${i.policy ?? "-"} [0:0]`, item: i });
    for (const i of mine) if (i.kind === "xt-rule") out.push({ text: `-A ${i.chain} ${i.text}`, item: i });
    out.push({ text: "COMMIT", item: null });
  }
  return out;
}

const ARGV: Record<string, string[]> = { ipset: ["ipset", "restore"], nft: ["nft", "-f", "-"] };

async function load(agent: Agent, ruleset: Ruleset, scripts: Script[], refusals: Refusal[]): Promise<void> {
  let todo = scripts;
  for (let round = 0; round < 12 && todo.length > 0; round++) {
    const results = await agent.run(
      todo.map((s) => ({
        ns: s.ns,
        argv: ARGV[s.tool] ?? [s.tool],
        stdin: `${s.lines.map((l) => l.text).join("\n")}\n`,
      })),
      8,
    );
    todo = todo.filter((s, i) => {
      const r = results[i]!;
      if (r.status === 0) return false;
      const line = Number(
        /(?:-|stdin):(\d+):|line:? (\d+)|Error in line (\d+)/.exec(r.err)?.slice(1).find(Boolean) ?? 0,
      );
      const bad = s.lines[line - 1];
      refusals.push({ text: `${s.ns} ${s.tool} ${bad?.text ?? "?"}`, why: r.err.trim().slice(0, 300) });
      // A line that cannot be told, or that is no item: nothing of this script can be used.
      const gone = bad?.item ? s.lines.filter((l) => l === bad) : s.lines;
      for (const l of gone) if (l.item) ruleset.items.splice(ruleset.items.indexOf(l.item), 1);
      s.lines = s.lines.filter((l) => !gone.includes(l));
      // ipset keeps what came before the bad line.
      if (s.tool === "ipset" && bad?.item) s.lines = s.lines.slice(line - 1);
      return s.lines.length > 0;
    });
  }
  for (const s of todo) for (const l of s.lines) if (l.item) ruleset.items.splice(ruleset.items.indexOf(l.item), 1);
}
