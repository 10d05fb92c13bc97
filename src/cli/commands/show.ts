/** `kubewalk show`: what is in a snapshot, or in one namespace of it. */
import { createDirectory } from "../../core/names/directory.ts";
import { NameError, NotRecordedError } from "../../core/names/errors.ts";
import { resolveFrom } from "../../core/names/from.ts";
import { showPlace } from "../../core/show/namespace.ts";
import { showSnapshot } from "../../core/show/snapshot.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import type { Session } from "../session.ts";
import { styleFor, type ColorChoice } from "../terminal.ts";
import { showPlaceLines, showSnapshotLines } from "../text/show.ts";

export interface ShowOptions {
  format: "text" | "json";
  color: ColorChoice;
}

/** Prints the snapshot, or with `place` (in people's words) that namespace. Resolves to the exit status. Rejects with UsageError for an unknown place. */
export async function show(session: Session, place: string | undefined, options: ShowOptions, io: Io): Promise<number> {
  const dir = createDirectory(session.snapshot);
  const style = styleFor(options.color, io);
  if (place === undefined) {
    const shown = showSnapshot(dir, session.peerOf);
    const text = options.format === "json" ? [JSON.stringify(shown, null, 2)] : showSnapshotLines(shown, style);
    await io.out.write(lines(text));
    return EXIT.answered;
  }
  let canonical: string;
  try {
    canonical = resolveFrom(dir, place);
  } catch (error) {
    if (error instanceof NameError || error instanceof NotRecordedError) throw new UsageError(error.message);
    throw error;
  }
  const shown = showPlace(dir.places.get(canonical)!, session.peerOf);
  const text = options.format === "json" ? [JSON.stringify(shown, null, 2)] : showPlaceLines(shown, style);
  await io.out.write(lines(text));
  return EXIT.answered;
}
