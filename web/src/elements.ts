/** Small helps with the page's elements. */

/** The element with this id. Raises: TypeError, when the page lacks it. */
export const byId = <E extends HTMLElement>(id: string, type: new () => E): E => {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`the page lacks #${id}`);
  return element;
};

export function option(value: string, words: string): HTMLOptionElement {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = words;
  return element;
}

/** Sets text only when it differs: a live region repeats what is set again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
