/** Where in the console one is, as the part of the address behind `#`. Pure. */

export type Tab = "conversation" | "timeline" | "report" | "logs" | "webhooks";

export type Route =
  | { readonly view: "overview" }
  | { readonly view: "sessions"; readonly id: string | null; readonly tab: Tab }
  | { readonly view: "webhooks" }
  | { readonly view: "agents" }
  | { readonly view: "checks" };

const TABS: ReadonlySet<string> = new Set<Tab>(["conversation", "timeline", "report", "logs", "webhooks"]);
const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;

export function parse(hash: string): Route {
  const [view, id, tab] = hash.replace(/^#?\/?/, "").split("/");
  switch (view) {
    case "sessions":
      return {
        view,
        id: id !== undefined && SESSION_ID.test(id) ? id : null,
        tab: tab !== undefined && TABS.has(tab) ? (tab as Tab) : "conversation",
      };
    case "webhooks":
    case "agents":
    case "checks":
      return { view };
    default:
      return { view: "overview" };
  }
}

export function format(route: Route): string {
  if (route.view !== "sessions") return `#/${route.view}`;
  if (route.id === null) return "#/sessions";
  return route.tab === "conversation" ? `#/sessions/${route.id}` : `#/sessions/${route.id}/${route.tab}`;
}

export const sessionRoute = (id: string | null, tab: Tab = "conversation"): Route => ({
  view: "sessions",
  id,
  tab,
});
