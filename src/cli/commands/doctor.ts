/** `kubewalk doctor`: what is wrong, who is hurt, what mends it. */
import { doctor, type DoctorOptions } from "../../core/doctor/doctor.ts";
import { CHECKS } from "../../core/doctor/registry.ts";
import { IntentError } from "../../core/networks/network.ts";
import type { Host } from "../define/shared.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines } from "../io.ts";
import type { Session } from "../session.ts";
import { progressLine, styleFor, type ColorChoice } from "../terminal.ts";
import { findingsLines } from "../text/doctor.ts";

export interface ExamineOptions {
  format: "text" | "json";
  color: ColorChoice;
  /** Ids of findings; all when not given. */
  only: readonly string[] | undefined;
  info: boolean;
}

/** Prints the ids that findings can have, a line each. */
export async function listChecks(host: Host): Promise<number> {
  await host.io.out.write(lines(CHECKS.flatMap((check) => check.ids).toSorted()));
  return EXIT.answered;
}

/** Prints the findings. Resolves to the exit status. Rejects with UsageError for an unknown id or a configuration that makes no sense. */
export async function examine(session: Session, options: ExamineOptions, host: Host): Promise<number> {
  const { only } = options;
  const ids = CHECKS.flatMap((check) => check.ids);
  const unknown = only?.filter((id) => !ids.includes(id)) ?? [];
  if (unknown.length > 0)
    throw new UsageError(`no check finds ${unknown.join(", ")}; kubewalk doctor --list names all`);
  const progress = progressLine(host.io, host.now);
  const settings: DoctorOptions = { onProgress: progress.show };
  if (only !== undefined) settings.checks = CHECKS.filter((check) => check.ids.some((id) => only.includes(id)));
  let result;
  try {
    result = doctor(session.snapshot, settings);
  } catch (error) {
    if (error instanceof IntentError) throw new UsageError(error.message);
    throw error;
  } finally {
    await progress.end();
  }
  if (only !== undefined) {
    result = {
      findings: result.findings.filter((finding) => only.includes(finding.id)),
      unknown: result.unknown.filter((each) => each.id !== "walk"),
    };
  }
  const text =
    options.format === "json"
      ? [JSON.stringify({ format: "kubewalk.findings/v1", ...result }, null, 2)]
      : findingsLines(result, options.info, styleFor(options.color, host.io));
  await host.io.out.write(lines(text));
  return result.findings.some((finding) => finding.severity !== "info") ? EXIT.failed : EXIT.answered;
}
