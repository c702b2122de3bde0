// Fails the build when a first visit would load too much script: `node budget.mjs`, in web/.

import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = "dist";
/** Bytes of all script that the talk page loads, gzipped; livekit-client alone is 148 kB of it. */
const PAGE_BYTES = 200_000;
/** Bytes of the one script that other people's pages load, gzipped. */
const EMBED_BYTES = 5_000;

const read = (path) => readFileSync(join(DIST, path), "utf-8");
const gzipped = (path) => gzipSync(read(path), { level: 9 }).length;

/** A script and all that it imports before it runs. */
function withImports(path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, from] of read(path).matchAll(/\b(?:from|import)\s*["'](\.{1,2}\/[^"']+)["']/g)) {
    withImports(normalize(join(dirname(path), from)), seen);
  }
  return seen;
}

function check(what, paths, limit) {
  const bytes = paths.map(gzipped).reduce((sum, each) => sum + each, 0);
  console.log(`${what}: ${bytes} of ${limit} bytes of script, gzipped`);
  if (bytes === 0 || bytes > limit) {
    console.error(`${what} loads ${bytes} bytes of script; at most ${limit} are allowed: ${paths.join(", ")}`);
    process.exitCode = 1;
  }
}

const scripts = [...read("index.html").matchAll(/<script[^>]* src="\/([^"]+)"/g)].map(([, path]) => path);
const preloads = [...read("index.html").matchAll(/rel="modulepreload"[^>]* href="\/([^"]+)"/g)].map(([, path]) => path);
const page = new Set();
for (const path of [...scripts, ...preloads]) withImports(path, page);
check("talk page", [...page], PAGE_BYTES);
check("embed.js", ["embed.js"], EMBED_BYTES);
if (/^\s*(import|export)\b|[;}](import|export)[\s{"']/.test(read("embed.js"))) {
  console.error("embed.js is no classic script: it imports or exports");
  process.exitCode = 1;
}
