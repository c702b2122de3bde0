/** A length of time as a clock shows it: "0:07", "61:30". */
export const clock = (lengthS: number): string => {
  const whole = Math.max(0, Math.floor(lengthS));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};
