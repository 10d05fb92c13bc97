import { defineConfig, type Plugin } from "vitest/config";

/** Scripts that are imported as texts, as the build has them. */
const texts: Plugin = {
  name: "texts",
  enforce: "pre",
  transform: (code, id) => (/\.(?:sh|awk)$/.test(id) ? `export default ${JSON.stringify(code)}` : null),
};

export default defineConfig({
  plugins: [texts],
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "fuzz/**/*.test.ts"],
    testTimeout: 60_000,
  },
});
