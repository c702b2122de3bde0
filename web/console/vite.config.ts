import { defineConfig } from "vite";

/** The console is built by itself, so that it is served, or switched off, without the talk page. */
export default defineConfig({
  root: import.meta.dirname,
  base: "/console/",
  build: {
    outDir: "../dist/console",
    emptyOutDir: true,
    // As for the talk page: its policy refuses what is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // LiveKit's client is loaded only by whoever listens in.
    chunkSizeWarningLimit: 700,
  },
});
