/** A socket in a virtual machine, as a stream of this process. */
import { Duplex } from "node:stream";
import { openSession, type VmSession } from "./session.ts";

class VmStream extends Duplex {
  session: VmSession | null = null;
  #room: (() => void) | null = null;

  /** What comes from the machine; resolves when the reader wants more. */
  receive(data: Uint8Array): Promise<void> {
    if (this.push(Buffer.from(data))) return Promise.resolve();
    return new Promise((resolve) => {
      this.#room = resolve;
    });
  }

  override _read(): void {
    this.#room?.();
    this.#room = null;
  }

  override _write(data: Buffer, _: string, done: (error?: Error | null) => void): void {
    if (this.session === null) done(new Error("the session has not begun"));
    else this.session.send(data).then(() => done(), done);
  }

  override _final(done: () => void): void {
    // Whoever asked has had all answers.
    this.session?.close();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.session?.close();
    this.#room?.();
    done(error);
  }
}

/** Connects to a socket in the machine of a lab. Rejects with LabError when the machine does not answer. */
export async function connectInVm(lab: string, path: string): Promise<Duplex> {
  const stream = new VmStream();
  const session = await openSession(
    lab,
    { connect: path },
    (data) => stream.receive(data),
    () => Promise.resolve(),
  );
  stream.session = session;
  const over = (): void => {
    if (!stream.destroyed) stream.push(null);
  };
  session.status.then(over, over);
  return stream;
}
