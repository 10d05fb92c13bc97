/** Selectors of pools, peers and nodes over the labels of one object. */
import { parseSelector, selects, SelectorError } from "../selector.ts";

export type Labels = Readonly<Record<string, string>>;

/** Whether a selector takes what has these labels. None takes everything; one that cannot be read takes nothing, as a request with it fails. */
export function takes(selector: string | null, labels: Labels): boolean {
  if (selector === null) return true;
  try {
    return selects(parseSelector(selector), (name) => (Object.hasOwn(labels, name) ? labels[name] : undefined));
  } catch (error) {
    if (error instanceof SelectorError) return false;
    throw error;
  }
}
