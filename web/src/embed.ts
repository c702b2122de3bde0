/**
 * embed.js: `<assistant-talk>`, a button on anybody's page that opens the talk page in a frame.
 *
 * A classic script without imports, so that one tag is all it takes. Nothing of the host page is
 * touched but the element itself; styles are adopted, which no content policy forbids.
 */

{
  const script = document.currentScript;
  const HERE = script instanceof HTMLScriptElement ? new URL(script.src).origin : location.origin;
  /** A frame that the service refuses loads as well, but says nothing. */
  const READY_WITHIN_MS = 4000;

  const STYLE = `
:host { --assistant-talk-color: #0f3a30; --assistant-talk-ink: #ffffff; --assistant-talk-accent: #ffb547;
  all: initial; font: 600 16px/1.3 system-ui, sans-serif; }
:host([hidden]) { display: none; }
.launcher { display: inline-flex; align-items: center; gap: 10px; min-height: 56px; padding: 0 22px 0 18px; border: 0;
  border-radius: 28px; background: var(--assistant-talk-color); color: var(--assistant-talk-ink); font: inherit;
  cursor: pointer; box-shadow: 0 6px 24px rgb(0 0 0 / .22); }
.launcher svg { color: var(--assistant-talk-accent); }
.launcher:focus-visible { outline: 3px solid var(--assistant-talk-accent); outline-offset: 3px; }
.launcher .live { width: 10px; height: 10px; border-radius: 50%; background: #86ebc5; }
.launcher .live:not([data-live="true"]) { display: none; }
.panel { position: fixed; z-index: 2147483647; bottom: 92px; width: 384px; height: min(640px, 100dvh - 112px);
  border-radius: 20px; overflow: hidden; background: #0f3a30; color: #eaf5ee; box-shadow: 0 12px 48px rgb(0 0 0 / .3); }
.panel[hidden] { display: none; }
.trouble { position: absolute; inset: 0; display: grid; align-content: center; gap: 8px; padding: 32px; background: #0f3a30; font-weight: 400; }
.trouble[hidden] { display: none; }
.trouble b { font-size: 20px; }
iframe { width: 100%; height: 100%; border: 0; display: block; color-scheme: normal; }
:host(:not([position="inline"])) .launcher { position: fixed; z-index: 2147483646; bottom: 20px; right: 20px; }
.panel { right: 20px; }
:host([position="bottom-left"]) .launcher, :host([position="bottom-left"]) .panel { right: auto; left: 20px; }
@media (max-width: 480px), (max-height: 480px) {
  .panel, :host([position="bottom-left"]) .panel { inset: 0; width: auto; height: auto; border-radius: 0; }
}`;

  const SVG = "http://www.w3.org/2000/svg";

  /** The string of the talk page's icon. */
  const icon = (): SVGSVGElement => {
    const svg = document.createElementNS(SVG, "svg");
    const facts = { viewBox: "0 0 32 32", width: "26", height: "26", fill: "none", stroke: "currentColor" };
    for (const [name, value] of Object.entries(facts)) svg.setAttribute(name, value);
    svg.setAttribute("stroke-width", "3");
    svg.setAttribute("stroke-linecap", "round");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", "M4 16c3 0 3-9 6-9s3 18 6 18 3-18 6-18 3 9 6 9");
    svg.append(path);
    return svg;
  };

  class AssistantTalk extends HTMLElement {
    static readonly observedAttributes = ["label", "open"];

    readonly #launcher = document.createElement("button");
    readonly #label = document.createElement("span");
    readonly #lamp = document.createElement("span");
    readonly #panel = document.createElement("div");
    readonly #trouble = document.createElement("div");
    #frame: HTMLIFrameElement | null = null;
    #ready = false;
    #timer = 0;

    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      this.#launcher.type = "button";
      this.#launcher.className = "launcher";
      this.#launcher.setAttribute("aria-expanded", "false");
      this.#launcher.setAttribute("aria-controls", "panel");
      this.#lamp.className = "live";
      this.#launcher.append(icon(), this.#label, this.#lamp);
      this.#launcher.addEventListener("click", () => this.toggleAttribute("open"));
      this.#panel.id = "panel";
      this.#panel.className = "panel";
      this.#panel.hidden = true;
      this.#panel.setAttribute("role", "dialog");
      this.#trouble.className = "trouble";
      this.#trouble.hidden = true;
      this.#trouble.setAttribute("role", "alert");
      this.#panel.append(this.#trouble);
      root.append(this.#launcher, this.#panel);
      root.addEventListener("keydown", (event) => {
        if (event instanceof KeyboardEvent && event.key === "Escape") this.close();
      });
    }

    connectedCallback(): void {
      window.addEventListener("message", this.#hear);
      this.#name();
      if (this.hasAttribute("open")) this.#show(true);
    }

    /** The frame goes with the element, and the page in it ends its conversation. */
    disconnectedCallback(): void {
      window.removeEventListener("message", this.#hear);
      this.#drop();
    }

    #drop(): void {
      window.clearTimeout(this.#timer);
      this.#frame?.remove();
      this.#frame = null;
    }

    attributeChangedCallback(name: string): void {
      if (!this.isConnected) return;
      if (name === "open") this.#show(this.hasAttribute("open"));
      else this.#name();
    }

    open(): void {
      this.setAttribute("open", "");
    }

    close(): void {
      this.removeAttribute("open");
    }

    get #server(): string {
      return new URL(this.getAttribute("server") ?? HERE).origin;
    }

    #name(): void {
      const label = this.getAttribute("label") ?? "Talk to us";
      this.#label.textContent = label;
      this.#panel.setAttribute("aria-label", label);
      if (this.#frame !== null) this.#frame.title = label;
    }

    #show(open: boolean): void {
      const was = !this.#panel.hidden;
      this.#panel.hidden = !open;
      this.#launcher.setAttribute("aria-expanded", String(open));
      if (open) (this.#frame ??= this.#makeFrame()).focus();
      else if (was) this.#launcher.focus();
      // What did not load is tried anew at the next opening.
      if (!open && !this.#ready) this.#drop();
    }

    #makeFrame(): HTMLIFrameElement {
      const wish = new URLSearchParams({ origin: location.origin });
      for (const name of ["key", "agent", "voice", "theme"]) {
        const value = this.getAttribute(name);
        if (value !== null && value !== "") wish.set(name, value);
      }
      const frame = document.createElement("iframe");
      frame.title = this.getAttribute("label") ?? "Talk to us";
      frame.allow = "microphone; autoplay; speaker-selection; clipboard-write";
      frame.src = `${this.#server}/embed#${wish.toString()}`;
      this.#ready = false;
      this.#trouble.hidden = true;
      this.#timer = window.setTimeout(() => this.#complain(), READY_WITHIN_MS);
      this.#panel.prepend(frame);
      return frame;
    }

    #complain(): void {
      if (this.#ready) return;
      const title = document.createElement("b");
      title.textContent = "The assistant did not load";
      const advice = document.createElement("span");
      advice.textContent = "Check your connection, then close this and open it again.";
      this.#trouble.replaceChildren(title, advice);
      this.#trouble.hidden = false;
      console.warn(`assistant-talk: no answer from ${this.#server}; is ${location.origin} in its ASSISTANT_ALLOWED_ORIGINS?`);
    }

    readonly #hear = (event: MessageEvent<unknown>): void => {
      const frame = this.#frame;
      if (frame === null || event.source !== frame.contentWindow || event.origin !== this.#server) return;
      const message = event.data as { type?: unknown; phase?: unknown; live?: unknown } | null;
      if (message?.type === "assistant-talk:ready") this.#begin(frame);
      if (message?.type === "assistant-talk:close") this.close();
      if (message?.type !== "assistant-talk:state") return;
      this.#lamp.dataset["live"] = String(message.live === true);
      const detail = { phase: message.phase, live: message.live === true };
      this.dispatchEvent(new CustomEvent("assistant-talk", { detail, bubbles: true, composed: true }));
    };

    #begin(frame: HTMLIFrameElement): void {
      this.#ready = true;
      this.#trouble.hidden = true;
      window.clearTimeout(this.#timer);
      if (this.hasAttribute("autostart")) {
        frame.contentWindow?.postMessage({ type: "assistant-talk:start" }, this.#server);
      }
    }
  }

  if (customElements.get("assistant-talk") === undefined) {
    customElements.define("assistant-talk", AssistantTalk);
  }
}
