import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    // The page is served under a policy that refuses inline script and `data:` fonts, so nothing
    // may be inlined, and the module preload helper (which browsers in reach do not need) is left out.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // livekit-client is about 150 kB gzipped by itself; the limit only catches what we add to it.
    chunkSizeWarningLimit: 700,
  },
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.ts"],
  },
});
