/** A session with the program in a virtual machine. agent/vm/frames.py tells the frames, agent/vm/guest.py the requests. */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { LabError } from "../parts.ts";
import { labFolder } from "../state.ts";

/** Kinds of frames, as frames.py numbers them. */
const KIND = { run: 0, stdin: 1, stdinEnd: 2, stdout: 3, stderr: 4, exit: 5, credit: 6, signal: 7, resize: 8 } as const;
/** How much more may be sent than the other side has taken. */
const WINDOW = 1 << 18;
const PIECE = 1 << 15;
const HEAD = 5;

/** A size in characters. */
export interface TerminalSize {
  rows: number;
  columns: number;
}

export type VmRequest =
  | ({ argv: readonly string[]; env: Record<string, string> } & Partial<TerminalSize>)
  | { connect: string }
  | { lab: string };

/** Takes what a session puts out; resolves when there is room for more. */
export type Sink = (data: Uint8Array) => Promise<void>;

function frame(kind: number, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt8(kind, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export class VmSession {
  readonly #socket: Socket;
  readonly #lab: string;
  #credit = WINDOW;
  #more: (() => void) | null = null;
  /** Exit status; 128 and its number for a signal. Rejects with LabError when the lab is gone, and with what a sink rejects with. */
  readonly status: Promise<number>;

  constructor(socket: Socket, lab: string, request: VmRequest, out: Sink, err: Sink) {
    this.#socket = socket;
    this.#lab = lab;
    socket.on("error", () => undefined);
    socket.write(frame(KIND.run, Buffer.from(JSON.stringify(request))));
    this.status = this.#receive(out, err).finally(() => this.close());
    this.status.catch(() => undefined);
  }

  async #receive(out: Sink, err: Sink): Promise<number> {
    const pieces: Buffer[] = [];
    let length = 0;
    let wanted = HEAD;
    for await (const data of this.#socket as AsyncIterable<Buffer>) {
      pieces.push(data);
      length += data.length;
      if (length < wanted) continue;
      let kept: Buffer = Buffer.concat(pieces.splice(0));
      while (kept.length >= (wanted = kept.length < HEAD ? HEAD : HEAD + kept.readUInt32BE(1))) {
        const [kind, body] = [kept.readUInt8(0), kept.subarray(HEAD, wanted)];
        kept = kept.subarray(wanted);
        if (kind === KIND.exit) {
          const status = body.readInt32BE();
          return status < 0 ? 128 - status : status;
        }
        if (kind === KIND.credit) {
          this.#credit += body.readUInt32BE();
          this.#more?.();
        } else {
          await (kind === KIND.stdout ? out(body) : err(body));
          this.#socket.write(frame(KIND.credit, u32(body.length)));
        }
      }
      pieces.push(kept);
      length = kept.length;
    }
    throw new LabError(`lab ${this.#lab} is gone`);
  }

  /** Sends input; resolves when there is room for more. */
  async send(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += PIECE) {
      const piece = data.subarray(at, at + PIECE);
      while (this.#credit <= 0 && !this.#socket.destroyed)
        await new Promise<void>((resolve) => {
          this.#more = resolve;
        });
      this.#credit -= piece.length;
      this.#socket.write(frame(KIND.stdin, piece));
    }
  }

  /** No more input comes. */
  endInput(): void {
    this.#socket.write(frame(KIND.stdinEnd));
  }

  signal(number: number): void {
    this.#socket.write(frame(KIND.signal, u32(number)));
  }

  resize({ rows, columns }: TerminalSize): void {
    const body = Buffer.alloc(4);
    body.writeUInt16BE(rows, 0);
    body.writeUInt16BE(columns, 2);
    this.#socket.write(frame(KIND.resize, body));
  }

  /** Ends it: a program that still runs is ended, too. */
  close(): void {
    this.#socket.destroy();
    this.#more?.();
  }
}

/** Begins a session in the machine of a lab. Rejects with LabError when there is none. */
export function openSession(lab: string, request: VmRequest, out: Sink, err: Sink): Promise<VmSession> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(labFolder(lab), "vm.sock"));
    const refused = (error: Error): void => reject(new LabError(`lab ${lab} does not answer: ${error.message}`));
    socket.once("error", refused);
    socket.once("connect", () => {
      socket.off("error", refused);
      resolve(new VmSession(socket, lab, request, out, err));
    });
  });
}

/** Runs a session without input to its end. Rejects with LabError when the lab is gone. */
export async function askMachine(
  lab: string,
  request: VmRequest,
): Promise<{ status: number; out: string; err: string }> {
  const kept = { out: [] as Buffer[], err: [] as Buffer[] };
  const keep =
    (list: Buffer[]): Sink =>
    (data) => {
      list.push(Buffer.from(data));
      return Promise.resolve();
    };
  const session = await openSession(lab, request, keep(kept.out), keep(kept.err));
  session.endInput();
  const status = await session.status;
  return { status, out: Buffer.concat(kept.out).toString(), err: Buffer.concat(kept.err).toString() };
}
