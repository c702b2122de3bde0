/** How often values came: as exact as a chart needs, and of one size however many there are. Pure. */

/** Counts of buckets, each of which reaches a hundredth further than it begins. */
export type Histogram = Uint32Array;

const FINEST_S = 0.001;
const LONGEST_S = 3600;
const WIDTH = Math.log(1.01);
const BUCKETS = Math.ceil(Math.log(LONGEST_S / FINEST_S) / WIDTH) + 1;

/** The first bucket has what is shorter than the finest, the last what is longer than the longest. */
const bucketOf = (seconds: number): number =>
  Math.min(Math.max(Math.ceil(Math.log(seconds / FINEST_S) / WIDTH), 0), BUCKETS - 1);

/** The middle of a bucket. */
const secondsOf = (bucket: number): number => FINEST_S * Math.exp((bucket - 0.5) * WIDTH);

export function counting(before: Histogram | undefined, seconds: number): Histogram {
  const after = before?.slice() ?? new Uint32Array(BUCKETS);
  const bucket = bucketOf(seconds);
  after[bucket] = (after[bucket] ?? 0) + 1;
  return after;
}

/** Values and how often each came, the least first. */
export function weights(histogram: Histogram): [number, number][] {
  const found: [number, number][] = [];
  histogram.forEach((times, bucket) => {
    if (times > 0) found.push([secondsOf(bucket), times]);
  });
  return found;
}
