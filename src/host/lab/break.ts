/** Faults of a lab, made and mended. */
import { FAULTS } from "./faults/index.ts";
import { LabError, type LabFault } from "./parts.ts";
import { saveLab, type StandingLab } from "./standing.ts";
import type { LabState } from "./state.ts";

/** The fault of an id. Throws LabError when there is none. */
export function faultOf(id: string): LabFault {
  const found = FAULTS.find((each) => each.id === id);
  if (found === undefined) throw new LabError(`no fault ${id}; kubewalk lab break --list names all`);
  return found;
}

/** Makes a fault and remembers it. Rejects with LabError when it stands already, or cannot be had in this lab. */
export async function breakLab(
  lab: StandingLab,
  state: LabState,
  id: string,
  options: Record<string, unknown>,
): Promise<void> {
  const fault = faultOf(id);
  if (state.broken.some((each) => each.id === id))
    throw new LabError(`${id} stands already: kubewalk lab mend ${id} first`);
  const missing = fault.missing?.(lab) ?? null;
  if (missing !== null) throw new LabError(`${id} cannot be had in lab ${lab.name}: ${missing}`);
  // Remembered before it is made: half of a fault can be mended.
  state.broken.push({ id, options });
  try {
    await fault.breakIt(lab, options);
  } finally {
    saveLab(lab, state);
  }
}

/** Takes a fault back. Rejects with LabError when it does not stand. */
export async function mendLab(lab: StandingLab, state: LabState, id: string): Promise<void> {
  const fault = faultOf(id);
  const standing = state.broken.find((each) => each.id === id);
  if (standing === undefined) {
    const others = state.broken.map((each) => each.id);
    throw new LabError(
      `${id} does not stand in lab ${lab.name}${others.length === 0 ? "" : `; these do: ${others.join(", ")}`}`,
    );
  }
  await fault.mendIt(lab, standing.options);
  state.broken = state.broken.filter((each) => each !== standing);
  saveLab(lab, state);
}
