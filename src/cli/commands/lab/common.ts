/** What the commands of `kubewalk lab` share. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLab, type OpenedLab } from "../../../host/lab/open.ts";
import { LabError } from "../../../host/lab/parts.ts";
import { unfitForLabs } from "../../../host/lab/up.ts";
import { snapshotLab } from "../../../host/lab/snapshot.ts";
import type { Host } from "../../define/shared.ts";
import { UsageError } from "../../exit.ts";
import type { Session } from "../../session.ts";

/** Does something with labs; what cannot be done is told as a mistake of use, without a stack. */
export async function asUsage<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof LabError) throw new UsageError(error.message);
    throw error;
  }
}

/** Rejects with UsageError when labs cannot be made here. */
export function needLabs(): void {
  const why = unfitForLabs();
  if (why !== null) throw new UsageError(why);
}

/** Opens a lab, does something with it, and lets go of it. */
export async function withLab<T>(name: string | undefined, act: (opened: OpenedLab) => Promise<T>): Promise<T> {
  return asUsage(async () => {
    const opened = await openLab(name);
    try {
      return await act(opened);
    } finally {
      opened.lab.client.close();
    }
  });
}

/** Takes a snapshot that nobody keeps, and does something with it. */
export async function withSnapshot<T>(
  { lab, plan }: OpenedLab,
  host: Host,
  act: (session: Session) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "kubewalk-lab-"));
  try {
    await snapshotLab(lab, plan, folder, null);
    return await act(await host.openSession(folder, () => undefined));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
