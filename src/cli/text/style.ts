/** Colours by meaning. Text functions take one, so that they are the same functions with and without colour. */
import { Ansis } from "ansis";

/** Each wraps text; with `PLAIN` it comes back as it was. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  unsure(text: string): string;
  /** What the packet had rewritten. */
  change(text: string): string;
  strong(text: string): string;
  /** Evidence beside a statement, and what is folded. */
  quiet(text: string): string;
}

const same = (text: string): string => text;

export const PLAIN: Style = { good: same, bad: same, unsure: same, change: same, strong: same, quiet: same };

/** ANSI colours of the 16 that every terminal has. */
export function coloured(): Style {
  const a = new Ansis(1);
  return {
    good: (t) => a.green.bold(t),
    bad: (t) => a.red.bold(t),
    unsure: (t) => a.yellow.bold(t),
    change: (t) => a.cyan(t),
    strong: (t) => a.bold(t),
    quiet: (t) => a.dim(t),
  };
}
