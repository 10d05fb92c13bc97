/** Matches with a memory or by chance: statistic, recent, limit, set, nfacct. */
import type { SetDir, XtMatch } from "../../model/xtables.ts";
import { probability } from "./probability.ts";
import { U32, address, number, setDirs } from "./values.ts";
import { Malformed, type Words, shorten } from "./words.ts";

export function statisticMatch(w: Words): XtMatch | null {
  const first = w.option();
  const mode = first?.name === "--mode" ? w.value() : null;
  if (mode !== "random" && mode !== "nth") {
    throw new Malformed(
      `-m statistic: expected --mode random or --mode nth, found ${shorten(mode ?? first?.name ?? "nothing")}`,
    );
  }
  const o = w.option();
  const wanted = mode === "random" ? "--probability" : "--every";
  if (o?.name !== wanted)
    throw new Malformed(`-m statistic --mode ${mode}: expected ${wanted}, found ${shorten(o?.name ?? "nothing")}`);
  const text = w.value();
  if (mode === "random") return { m: "random", not: o.not, p: text, ...probability(text) };
  const every = number(text, U32, "--every");
  const start = w.option();
  if (start !== null && start.name !== "--packet") return null;
  const packet = start === null ? 0 : number(w.value(), U32, "--packet");
  if (every === 0 || packet >= every)
    throw new Malformed(`--packet: expected a number below --every ${every}, found ${packet}`);
  return { m: "nth", not: o.not, every, packet };
}

const RECENT_OPS: Readonly<Record<string, "set" | "rcheck" | "update" | "remove">> = {
  "--set": "set",
  "--rcheck": "rcheck",
  "--update": "update",
  "--remove": "remove",
};

export function recentMatch(w: Words, v6: boolean): XtMatch | null {
  let op: "set" | "rcheck" | "update" | "remove" | null = null;
  let not = false;
  let seconds: number | null = null;
  let reap = false;
  let hitcount: number | null = null;
  let rttl = false;
  // recent_init and DEFAULT of libxt_recent.c.
  let name = "DEFAULT";
  let mask = null;
  let side: "src" | "dst" = "src";
  for (let o = w.option(); o !== null; o = w.option()) {
    const asked = RECENT_OPS[o.name];
    if (asked !== undefined) {
      if (op !== null) throw new Malformed(`-m recent: expected one of ${Object.keys(RECENT_OPS).join(", ")}`);
      op = asked;
      not = o.not;
    } else if (o.not) return null;
    else if (o.name === "--seconds") seconds = number(w.value(), U32, o.name);
    else if (o.name === "--reap") reap = true;
    else if (o.name === "--hitcount") hitcount = number(w.value(), U32, o.name);
    else if (o.name === "--rttl") rttl = true;
    else if (o.name === "--name") name = w.value();
    else if (o.name === "--mask") mask = address(w.value(), v6, o.name);
    else if (o.name === "--rsource") side = "src";
    else if (o.name === "--rdest") side = "dst";
    else return null;
  }
  if (op === null) throw new Malformed(`-m recent: expected one of ${Object.keys(RECENT_OPS).join(", ")}`);
  return { m: "recent", not, op, seconds, reap, hitcount, rttl, name, mask, side };
}

export function limitMatch(w: Words): XtMatch | null {
  // limit_init of libxt_limit.c; a burst of 5 is not printed.
  let rate = "3/hour";
  let burst: number | null = null;
  for (let o = w.option(); o !== null; o = w.option()) {
    if (o.not) return null;
    if (o.name === "--limit") {
      rate = w.value();
      if (!/^[0-9]{1,10}(?:\/(?:s|sec|second|m|min|minute|h|hour|d|day))?$/.test(rate)) {
        throw new Malformed(`--limit: expected a rate such as 5/sec, found ${shorten(rate)}`);
      }
    } else if (o.name === "--limit-burst") burst = number(w.value(), U32, o.name);
    else return null;
  }
  return { m: "limit", rate, burst };
}

export function setMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m set: expected --match-set");
  if (o.name !== "--match-set") return null;
  const name = w.value();
  const dirs: readonly SetDir[] = setDirs(w.value(), o.name);
  const options: string[] = [];
  for (let each = w.option(); each !== null; each = w.option()) options.push(...w.raw(each));
  return { m: "set", not: o.not, name, dirs, options };
}

export function nfacctMatch(w: Words): XtMatch | null {
  const o = w.option();
  if (o === null) throw new Malformed("-m nfacct: expected --nfacct-name");
  return o.name === "--nfacct-name" && !o.not ? { m: "nfacct", name: w.value() } : null;
}
