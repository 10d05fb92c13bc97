/** `kubewalk lab walk`: what the engine foretells beside what the kernel did. */
import { createDirectory } from "../../../core/names/directory.ts";
import type { Asked } from "../../../core/names/to.ts";
import { findPlace } from "../../../host/lab/find-place.ts";
import { walkLab } from "../../../host/lab/walk.ts";
import type { Host } from "../../define/shared.ts";
import { EXIT, UsageError } from "../../exit.ts";
import { lines } from "../../io.ts";
import { resolve } from "../../resolve.ts";
import { styleFor, type ColorChoice } from "../../terminal.ts";
import { labWalkLines } from "../../text/lab/walk.ts";
import { withLab, withSnapshot } from "./common.ts";

export interface LabWalkOptions {
  name: string | undefined;
  asked: Asked;
  format: "text" | "json";
  color: ColorChoice;
}

/** Walks and prints. Resolves to the exit status: 0 the kernel did the same, 1 it did not. */
export async function labWalk(from: string, to: string, options: LabWalkOptions, host: Host): Promise<number> {
  return withLab(options.name, (opened) =>
    withSnapshot(opened, host, async (session) => {
      const { lab } = opened;
      const { snapshot } = session;
      const resolved = resolve(createDirectory(snapshot), findPlace(lab, from), to, options.asked, {});
      const [first, ...more] = "questions" in resolved ? resolved.questions : [];
      if (first === undefined) throw new UsageError(`${to}: what it needs is not recorded in a lab`);
      if (more.length > 0) {
        const all = [first, ...more].map(({ question }) => question.to).join(", ");
        throw new UsageError(`${to} leads to several addresses: ${all}; name one, or -4 or -6`);
      }
      const textOf = (file: string): string => snapshot.text(file) ?? "";
      const answer = (question: typeof first.question): ReturnType<typeof session.ask> =>
        session.ask(question, { steps: true, allRules: false, paths: true });
      const walk = await walkLab(lab, first.question, { answer, textOf });
      const text =
        options.format === "json"
          ? [JSON.stringify(walk, null, 2)]
          : labWalkLines(walk, styleFor(options.color, host.io));
      await host.io.out.write(lines(text));
      return walk.agrees ? EXIT.answered : EXIT.failed;
    }),
  );
}
