/** Label selectors of Kubernetes (meta/v1 LabelSelector; apimachinery, labels.Requirement). */
import { listAt, mapAt, textAt, textsAt } from "./raw-paths.ts";

/** Gives the value of a label; undefined when it is not there. */
export type LabelOf = (key: string) => string | undefined;

/** The labels of an object. */
export function labelsOf(labels: Readonly<Record<string, string>>): LabelOf {
  return (key) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
}

/** Whether a selector, as it was recorded, takes something with these labels. An empty selector takes everything. */
export function selectorTakes(selector: unknown, labelOf: LabelOf): boolean {
  for (const [key, value] of mapAt(selector, "matchLabels")) if (labelOf(key) !== value) return false;
  return listAt(selector, "matchExpressions").every((each) => {
    const value = labelOf(textAt(each, "key") ?? "");
    const among = value !== undefined && textsAt(each, "values").includes(value);
    switch (textAt(each, "operator")) {
      case "In":
        return among;
      // A label that is not there is not among any values either.
      case "NotIn":
        return !among;
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return false;
    }
  });
}
