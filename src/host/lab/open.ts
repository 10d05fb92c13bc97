/** A lab that stands, opened again by a later command. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectAgent } from "./agent-client.ts";
import { LabError } from "./parts.ts";
import { placesOf } from "./places.ts";
import { StandingLab, type Recorded } from "./standing.ts";
import { isAlive, isRest, labFolder, labNames, readState, type LabState } from "./state.ts";
import { plan, type Plan } from "./up.ts";
import { connectVmAgent } from "./vm/agent.ts";

export interface OpenedLab {
  lab: StandingLab;
  plan: Plan;
  state: LabState;
}

/** The name of the lab that is meant: the one that was given, else the only one that stands. Throws LabError. */
export function nameOf(given: string | undefined): string {
  const standing = labNames().filter((name) => !isRest(name));
  if (given !== undefined) {
    if (!standing.includes(given))
      throw new LabError(`no lab ${given} stands${standing.length === 0 ? "" : `; there are ${standing.join(", ")}`}`);
    return given;
  }
  const [only] = standing;
  if (only === undefined) throw new LabError("no lab stands: kubewalk lab up SCENARIO makes one");
  if (standing.length > 1) throw new LabError(`several labs stand, so say which by --name: ${standing.join(", ")}`);
  return only;
}

function readRecorded(name: string): Recorded {
  const text = readFileSync(join(labFolder(name), "recorded.json"), "utf8");
  const all = JSON.parse(text) as Record<string, Record<string, string>>;
  return new Map(Object.entries(all).map(([machine, files]) => [machine, new Map(Object.entries(files))]));
}

/** Opens a lab. Rejects with LabError when it does not stand. Whoever opens it closes `lab.client`. */
export async function openLab(given: string | undefined): Promise<OpenedLab> {
  const name = nameOf(given);
  const state = readState(name);
  if (state === null || !isAlive(state.agent)) throw new LabError(`no lab ${name} stands`);
  if (state.phase !== "up") throw new LabError(`lab ${name} is still being made`);
  const text = readFileSync(join(labFolder(name), "scenario.yaml"), "utf8");
  const again = plan(text, state.scenario, name);
  const { computed, scenario, wiring } = again;
  const places = placesOf(name, wiring, computed.objects, computed.claims);
  const client = await (state.vm === undefined ? connectAgent(name) : connectVmAgent(name));
  const lab = new StandingLab(client, state, scenario, computed, places, readRecorded(name));
  return { lab, plan: again, state };
}
