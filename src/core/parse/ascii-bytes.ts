/** Text that whoever has the files gives as bytes: for large files, which would otherwise be decoded only to be encoded again. */

/** So many zeros follow the text in `AsciiBytes.bytes`. */
export const ASCII_PADDING = 64;

/** ASCII text: each character is a byte. */
export interface AsciiBytes {
  /** The text and at least ASCII_PADDING zeros after it. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Characters `start` to before `end`, as a string that holds on to little more than itself. */
  slice(start: number, end: number): string;
  /** Whether the `length` bytes from `start` on are those of `other` from `at` on: where native code can tell, which is many times faster. */
  same?(start: number, other: Uint8Array, at: number, length: number): boolean;
  /** Whoever parsed the text holds on to none of it: its bytes may serve for the next one. */
  release?(): void;
}
