/** What the command reads and writes; the process's own streams outside of tests. */
import type { Writable } from "node:stream";
import { OutputClosed } from "./exit.ts";

/** A place to write text to. */
export interface Output {
  readonly isTTY: boolean;
  /** Columns of the terminal; undefined where there is none. */
  readonly columns: number | undefined;
  /** Resolves when the text is taken and there is room for more. Rejects with OutputClosed when nobody reads any more. */
  write(text: string): Promise<void>;
}

export interface Io {
  readonly stdin: AsyncIterable<string | Uint8Array>;
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A stream of the process as an Output: waits for a slow reader, and turns EPIPE into OutputClosed. */
export function streamOutput(stream: Writable & { isTTY?: boolean; columns?: number }): Output {
  let broken: Error | null = null;
  let wake: (() => void) | null = null;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    broken = error.code === "EPIPE" ? new OutputClosed("the reader has gone") : error;
    wake?.();
  });
  stream.on("drain", () => wake?.());
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns;
    },
    async write(text) {
      if (broken !== null) throw broken;
      if (!stream.write(text)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = null;
      }
      if (broken !== null) throw broken;
    },
  };
}

/** Lines, each with its end. */
export function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join("");
}
