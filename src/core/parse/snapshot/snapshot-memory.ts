/** What reading one namespace teaches for the next: thousands of them are nearly the same. */
import { SaveMemory } from "../iptables/save-memory.ts";
import type { LineMarks } from "../line-marks.ts";
import { SysctlMemory } from "../sysctl.ts";

/** Kept while one snapshot is read. */
export class SnapshotMemory {
  readonly ip = new SaveMemory();
  readonly ip6 = new SaveMemory();
  readonly sysctls = new SysctlMemory();
  /** Where lines of large files begin; these outlive the rest. */
  readonly marks: LineMarks = new Map();
}
