/** Answers as output: text, JSON, or JSON lines. */
import type { Answer } from "../core/model/walk.ts";
import { createLabels } from "../core/names/describe.ts";
import type { Directory } from "../core/names/directory.ts";
import { lines, type Io } from "./io.ts";
import { styleFor, widthFor, type ColorChoice } from "./terminal.ts";
import { answerLines, type AnswerOptions } from "./text/answer.ts";

export type WalkFormat = "text" | "json" | "jsonl";

export interface WalkOptions {
  format: WalkFormat;
  steps: boolean;
  allRules: boolean;
  color: ColorChoice;
}

/** Turns answers into output, one after another. */
export interface Printer {
  print(answer: Answer, mark: number): Promise<void>;
  /** Ends the output; called once, after a failure too. */
  end(): Promise<void>;
}

function textPrinter(dir: Directory, options: WalkOptions, io: Io): Printer {
  const label = createLabels(dir);
  const byFolder = new Map(dir.snapshot.namespaces.map((ns) => [ns.dir, ns.place]));
  const placeOf = (file: string): string | undefined => byFolder.get(file.slice(0, file.lastIndexOf("/")));
  const style = styleFor(options.color, io);
  let first = true;
  return {
    async print(answer, mark) {
      const settings: AnswerOptions = { width: widthFor(io), style, all: options.steps, mark, label, placeOf };
      await io.out.write(lines([...(first ? [] : [""]), ...answerLines(answer, settings)]));
      first = false;
    },
    end: async () => undefined,
  };
}

/** `array`: a JSON array even of one. */
function jsonPrinter(io: Io, array: boolean): Printer {
  let count = 0;
  return {
    async print(answer) {
      const text = JSON.stringify(answer, null, 2);
      await io.out.write(array ? `${count === 0 ? "[\n" : ",\n"}${text}` : `${text}\n`);
      count++;
    },
    async end() {
      if (array) await io.out.write(count === 0 ? "[]\n" : "\n]\n");
    },
  };
}

/** The printer of a format; `array` makes JSON an array. */
export function printerFor(dir: Directory, options: WalkOptions, io: Io, array: boolean): Printer {
  switch (options.format) {
    case "text":
      return textPrinter(dir, options, io);
    case "json":
      return jsonPrinter(io, array);
    case "jsonl":
      return { print: (answer) => io.out.write(`${JSON.stringify(answer)}\n`), end: async () => undefined };
  }
}
