/** A chain whose rules are those of another node's, but for the lines on which they stand. */
import type { XtChain, XtRule } from "../../model/xtables.ts";

/**
 * Rules are copied with their own lines when they are first asked for: in a large cluster hundreds of nodes have the same chains, and few
 * of them are ever looked at. Nodes whose chain stands on the same lines have one object.
 */
export class SharedChain implements XtChain {
  readonly name: string;
  readonly line: number;
  readonly policy: XtChain["policy"];
  packets: number;
  bytes: number;
  /** What is added to the lines of the originals. */
  readonly shift: number;
  private readonly original: { readonly rules: readonly XtRule[] };
  private own: XtRule[] | null = null;

  constructor(chain: XtChain, original: { readonly rules: readonly XtRule[] }, shift: number) {
    this.name = chain.name;
    this.line = chain.line;
    this.policy = chain.policy;
    this.packets = chain.packets ?? 0;
    this.bytes = chain.bytes ?? 0;
    this.original = original;
    this.shift = shift;
  }

  get alike(): readonly XtRule[] {
    return this.original.rules;
  }

  get rules(): XtRule[] {
    const { shift } = this;
    return (this.own ??= this.original.rules.map((rule) =>
      shift === 0 ? rule : { ...rule, line: rule.line + shift },
    ));
  }
}
