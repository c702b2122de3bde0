import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    // The page is served under a policy that refuses inline script and `data:` fonts, so nothing
    // may be inlined, and the module preload helper (which browsers in reach do not need) is left out.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // budget.mjs bounds what a page loads, by what is sent.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: {
        talk: "index.html",
        embed: "src/embed.ts",
      },
      output: {
        // Other people's pages name this one, so its name stays.
        entryFileNames: (chunk) =>
          chunk.name === "embed" ? "embed.js" : "assets/[name]-[hash].js",
      },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.ts", "console/test/**/*.test.{ts,tsx}"],
  },
});
