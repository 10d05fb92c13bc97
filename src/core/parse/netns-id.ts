/** `ip -j netns list-id`. */
import { readRows, uint } from "./ip-json.ts";
import { errorAt, optional } from "./json-lines.ts";

/** How this namespace numbers others; `name` is that of /run/netns, null when it has none there. Throws ParseError. */
export function parseNetnsIds(text: string, file: string): { id: number; name: string | null }[] {
  const { doc, rows } = readRows(text, file);
  return rows.map((row) => {
    const id = uint(doc, row, "nsid", 0x7fffffff);
    if (id === null) throw errorAt(doc, row, '"nsid" is missing');
    return { id, name: optional(doc, row, "name", "string") };
  });
}
