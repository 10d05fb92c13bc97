/** `kubewalk collect --lab`: a snapshot of a lab of this machine. */
import { collectLabFolder } from "../../host/collect/lab.ts";
import { snapshotLab } from "../../host/lab/snapshot.ts";
import type { Host } from "../define/shared.ts";
import { needLabs, withLab } from "./lab/common.ts";
import { taking, type TakingOptions } from "./taking.ts";

/** Takes the lab's snapshot. Resolves to the exit status. Rejects with UsageError for what is not there or cannot be written. */
export async function collectLab(name: string | undefined, options: TakingOptions, host: Host): Promise<number> {
  needLabs();
  return withLab(name, ({ lab, plan }) =>
    taking(options, host, (common) =>
      collectLabFolder((folder, takenAt) => snapshotLab(lab, plan, folder, takenAt), common),
    ),
  );
}
