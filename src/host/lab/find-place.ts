/** People's words for a place of a lab. */
import { LabError } from "./parts.ts";
import type { StandingLab } from "./standing.ts";

/**
 * The place that is meant by `n1/pod/shop/web-1`, `pod:shop/web-1`, `shop/web-1`, `web-1`, `n1`, `node:n1` or `outside`. Throws LabError for one
 * that is not there, and for a name that several have.
 */
export function findPlace(lab: StandingLab, words: string): string {
  const name = words.replace(/^(?:pod|node):/, "");
  const all = lab.places.map((each) => each.place);
  const found = [
    all.filter((place) => place === name),
    all.filter((place) => place === `${name}/host`),
    all.filter((place) => place.endsWith(`/pod/${name}`)),
    all.filter((place) => /\/(?:pod\/[^/]+|netns)\/([^/]+)$/.exec(place)?.[1] === name),
  ].find((places) => places.length > 0);
  const [place, ...more] = found ?? [];
  if (place === undefined) throw new LabError(`lab ${lab.name} has no ${words}; kubewalk lab graph shows what it has`);
  if (more.length > 0) throw new LabError(`${words} may be ${[place, ...more].join(" or ")}`);
  return place;
}
