/** A file below cluster/: a list as kubectl prints one, an object a line. */
import type { ClusterObject } from "./objects.ts";

export class ListFile {
  private readonly chunks: Buffer[] = [];
  count = 0;

  add(object: ClusterObject): void {
    const line = JSON.stringify(object);
    this.chunks.push(Buffer.from(this.count++ === 0 ? line : `,\n${line}`));
  }

  bytes(): Buffer {
    return Buffer.concat([
      Buffer.from('{"apiVersion":"v1","kind":"List","items":[\n'),
      ...this.chunks,
      Buffer.from("\n]}\n"),
    ]);
  }
}
