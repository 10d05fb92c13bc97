/** `kubewalk lab down` and `ls`, which need to know nothing of networks. */
import type { LabListed } from "../../../core/model/lab.ts";
import { LabError } from "../../../host/lab/parts.ts";
import { hasFolder, isAlive, isRest, labNames, readState, removeLab, sweep } from "../../../host/lab/state.ts";
import type { Host } from "../../define/shared.ts";
import { EXIT, UsageError } from "../../exit.ts";
import { lines } from "../../io.ts";
import { table } from "../../text/width.ts";

/** Removes labs, and what is left of those whose makers died. */
export async function labDown(name: string | undefined, all: boolean, { io }: Host): Promise<number> {
  try {
    const rests = sweep();
    for (const each of rests) await io.err.write(`note: removed what was left of lab ${each}\n`);
    const standing = labNames();
    if (name !== undefined && !standing.includes(name)) {
      if (rests.includes(name)) return EXIT.answered;
      throw new UsageError(`no lab ${name} stands${standing.length === 0 ? "" : `; there are ${standing.join(", ")}`}`);
    }
    const [only, ...more] = standing;
    if (!all && name === undefined && more.length > 0)
      throw new UsageError(`several labs stand, so say which, or --all: ${standing.join(", ")}`);
    const gone = all ? standing : name === undefined ? (only === undefined ? [] : [only]) : [name];
    for (const each of gone) removeLab(each);
    if (gone.length === 0 && rests.length === 0) await io.err.write("note: no lab stands\n");
    await io.out.write(lines(gone.map((each) => `lab ${each} is gone`)));
    return EXIT.answered;
  } catch (error) {
    if (error instanceof LabError) throw new UsageError(error.message);
    throw error;
  }
}

/** Every lab, and what is left of some. */
function listed(): LabListed[] {
  return labNames().flatMap((name): LabListed[] => {
    const state = hasFolder(name) ? readState(name) : null;
    const phase = isRest(name) ? "rest" : (state?.phase ?? "rest");
    const namespaces = state !== null && isAlive(state.agent) ? state.netns.length : 0;
    return [
      { name, scenario: state?.scenario ?? "", phase, namespaces, broken: state?.broken.map((each) => each.id) ?? [] },
    ];
  });
}

export async function labLs(format: "text" | "json", { io }: Host): Promise<number> {
  const labs = listed();
  if (format === "json") await io.out.write(`${JSON.stringify({ format: "kubewalk.lab-list/v1", labs }, null, 2)}\n`);
  else if (labs.length === 0) await io.err.write("note: no lab stands: kubewalk lab up SCENARIO makes one\n");
  else {
    const rows = labs.map((each) => [
      each.name,
      each.phase,
      String(each.namespaces),
      each.scenario,
      each.broken.join(",") || "-",
    ]);
    await io.out.write(lines(table([["NAME", "PHASE", "NAMESPACES", "SCENARIO", "BROKEN"], ...rows])));
  }
  return EXIT.answered;
}
