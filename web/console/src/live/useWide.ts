/** Whether there is room for a table beside the rail. */

import { useSyncExternalStore } from "react";

const room = window.matchMedia("(min-width: 64rem)");
const onChange = (listener: () => void): (() => void) => {
  room.addEventListener("change", listener);
  return () => room.removeEventListener("change", listener);
};

export const useWide = (): boolean => useSyncExternalStore(onChange, () => room.matches);
