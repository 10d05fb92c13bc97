/** A number with its noun: `1 rule`, `2 policies`. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
