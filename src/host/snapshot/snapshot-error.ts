/** Something is wrong with a snapshot as a whole: its archive or folder, not what a file in it says. */
export class SnapshotError extends Error {
  /** The archive or folder that was asked for. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.name = "SnapshotError";
    this.path = path;
  }
}
