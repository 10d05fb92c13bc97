import { defineConfig, type Plugin } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Scripts that are imported as texts, as the build has them. */
const texts: Plugin = {
  name: "texts",
  enforce: "pre",
  transform: (code, id) => (/\.(?:sh|awk)$/.test(id) ? `export default ${JSON.stringify(code)}` : null),
};

/** What takes minutes, in the order in which it begins: two of these wait for each other's cluster, so they stand apart. */
const SLOW = [
  "test/new-recording",
  "test/lab-vm",
  "test/lab-faults",
  "test/collect-cluster",
  "test/lab-scenarios",
  "fuzz/fuzz",
];

/** Slow files first, so that no worker is left alone with one at the end. */
class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = SLOW.findIndex((each) => moduleId.includes(`/${each}.test.`));
      return found < 0 ? SLOW.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  plugins: [texts],
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "fuzz/**/*.test.ts"],
    testTimeout: 60_000,
    // More would be in the way of what waits for kernels and daemons.
    maxWorkers: 2,
    sequence: { sequencer: SlowFirst },
  },
});
