/** A list of any length of which only what can be seen is in the document. */

import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** Rows beyond the edges, so that a flick of the wheel shows no gap. */
const BEYOND = 8;

interface Props<Item> {
  readonly label: string;
  readonly items: readonly Item[];
  readonly rowHeight: number;
  readonly idOf: (item: Item) => string;
  readonly render: (item: Item) => ReactNode;
  readonly selected: string | null;
  /** `byKey`: by moving through the list, rather than by choosing from it. */
  readonly onSelect: (id: string, byKey: boolean) => void;
  /** Called when the end of what is there comes into view. */
  readonly onEnd?: () => void;
}

const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

/** Where a key leads from `n`, in a list of `length`; null: nowhere. */
export function moved(key: string, n: number, length: number, page: number): number | null {
  if (length === 0) return null;
  const clamp = (to: number): number => Math.min(Math.max(to, 0), length - 1);
  if (key === "Home") return 0;
  if (key === "End") return length - 1;
  if (key === "PageDown") return clamp(n + page);
  if (key === "PageUp") return clamp(n - page);
  const step = STEPS[key];
  return step === undefined ? null : clamp(n + step);
}

export function VirtualList<Item>(props: Props<Item>): ReactNode {
  const { items, rowHeight, idOf, selected, onEnd } = props;
  const box = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  const [height, setHeight] = useState(0);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    setHeight(element.clientHeight);
    return () => watch.disconnect();
  }, []);

  const visible = Math.ceil(height / rowHeight);
  const from = Math.max(first - BEYOND, 0);
  const to = Math.min(first + visible + BEYOND, items.length);
  const atEnd = height > 0 && to >= items.length;
  useEffect(() => {
    if (atEnd) onEnd?.();
  }, [atEnd, items.length, onEnd]);

  const index = selected === null ? -1 : items.findIndex((item) => idOf(item) === selected);
  const reveal = useCallback(
    (n: number) => {
      const element = box.current;
      if (element === null) return;
      const top = n * rowHeight;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + rowHeight > element.scrollTop + element.clientHeight) {
        element.scrollTop = top + rowHeight - element.clientHeight;
      }
    },
    [rowHeight],
  );

  // Another height of rows, or another choice: what is chosen stays in sight.
  useLayoutEffect(() => {
    if (index >= 0) reveal(index);
    // `index` alone is no reason: a list that grows must not scroll.
  }, [rowHeight, selected, reveal]);

  // What arrives above must not move what is being read.
  const top = useRef<{ id: string; n: number } | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    const before = top.current;
    if (element === null || element.scrollTop === 0 || before === null) return;
    const n = items.findIndex((item) => idOf(item) === before.id);
    if (n >= 0 && n !== before.n) element.scrollTop += (n - before.n) * rowHeight;
  }, [items, rowHeight, idOf]);
  useLayoutEffect(() => {
    const item = items[first];
    top.current = item === undefined ? null : { id: idOf(item), n: first };
  });

  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const n = moved(event.key, index, items.length, Math.max(visible - 1, 1));
    const item = n === null ? undefined : items[n];
    if (n === null || item === undefined) return;
    event.preventDefault();
    reveal(n);
    props.onSelect(idOf(item), true);
  };

  return (
    <div
      ref={box}
      className="list"
      role="listbox"
      tabIndex={0}
      aria-label={props.label}
      aria-activedescendant={index >= from && index < to ? optionId(selected ?? "") : undefined}
      onKeyDown={onKey}
      onScroll={(event) => setFirst(Math.floor(event.currentTarget.scrollTop / rowHeight))}
    >
      <div role="presentation" className="list-space" style={{ height: items.length * rowHeight }}>
        {items.slice(from, to).map((item, n) => {
          const id = idOf(item);
          return (
            <div
              key={id}
              id={optionId(id)}
              role="option"
              className="list-row"
              aria-selected={id === selected}
              aria-setsize={items.length}
              aria-posinset={from + n + 1}
              style={{ height: rowHeight, transform: `translateY(${(from + n) * rowHeight}px)` }}
              onClick={() => props.onSelect(id, false)}
            >
              {props.render(item)}
            </div>
          );
        })}
      </div>
    </div>
  );
}

const optionId = (id: string): string => `option-${id}`;
