/** The HTTP side of the service, as the page uses it. Durations are seconds. */

import { eventsOf, type SessionEvent } from "./events";
import type { Place } from "./session";

/** Longest wait for one answer: minting a token and starting a session are single round trips. */
const REQUEST_TIMEOUT_S = 12;
/** A problem document is a few hundred bytes; its text is shown, so it is cut here. */
const MAX_DETAIL_CHARS = 300;

export type AgentChoice = import("./generated/api").TalkAgent;

export interface TalkPage {
  /** The publishable key to show; null where the service asks for none. */
  readonly key: string | null;
  readonly agents: readonly AgentChoice[];
  readonly startTimeout: number;
  /** LiveKit's address, to be reached sooner after the click; null where the service keeps it. */
  readonly url: string | null;
}

/** What opens the session's room. */
export interface Grant {
  readonly token: string;
  readonly url: string;
}

export interface StartAnswer {
  /** The place in line; null where an agent is sought at once. */
  readonly place: Place | null;
  /** Null where none was asked for, or LiveKit was away. */
  readonly grant: Grant | null;
}

export type SessionStatus = import("./generated/api").State;

export interface SessionAnswer {
  readonly status: SessionStatus;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly place: Place | null;
}

export interface Choice {
  readonly agent: string | null;
  readonly voice: string | null;
}

/** The service answered, and said no. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    /** The stable `code` of the problem document; null when the answer was not one. */
    readonly code: string | null,
    readonly detail: string | null,
    /** Seconds from `Retry-After`; null when absent. */
    readonly retryAfterS: number | null,
  ) {
    super(`HTTP ${status}${code === null ? "" : ` (${code})`}`);
  }
}

/** No usable answer came: no network, no server, or none in time. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

type Json = Record<string, unknown>;

const isJson = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string | null =>
  typeof value === "string" && value !== "" ? value : null;

const required = (body: Json, field: string): string => {
  const value = text(body[field]);
  if (value === null) throw new UnreachableError(`the answer lacks ${field}`);
  return value;
};

const retryAfter = (headers: Headers): number | null => {
  const seconds = Number(headers.get("Retry-After") ?? "");
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
};

async function problem(response: Response): Promise<ApiError> {
  let body: unknown = null;
  try {
    body = await response.json();
  } catch {
    // A proxy in between may answer with anything; the status alone still says enough.
  }
  const fields = isJson(body) ? body : {};
  const detail = text(fields["detail"])?.slice(0, MAX_DETAIL_CHARS) ?? null;
  return new ApiError(response.status, text(fields["code"]), detail, retryAfter(response.headers));
}

async function request(path: string, init: RequestInit, signal?: AbortSignal): Promise<Json> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_S * 1000);
  const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  let response: Response;
  try {
    response = await fetch(path, { ...init, signal: either, cache: "no-store" });
  } catch (error) {
    throw new UnreachableError("no answer", { cause: error });
  }
  if (!response.ok) throw await problem(response);
  try {
    const body: unknown = await response.json();
    if (isJson(body)) return body;
  } catch {
    // Falls through: an answer that is not JSON is no answer of this service.
  }
  throw new UnreachableError("the answer is not JSON");
}

function agents(value: unknown): AgentChoice[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isJson).flatMap((item) => {
    const name = text(item["name"]);
    if (name === null) return [];
    const voices = Array.isArray(item["voices"]) ? item["voices"] : [];
    return {
      name,
      title: text(item["title"]) ?? name,
      voices: voices.filter((voice): voice is string => typeof voice === "string"),
      voice: text(item["voice"]),
      default: item["default"] === true,
    };
  });
}

const bearer = (key: string | null): Record<string, string> =>
  key === null ? {} : { Authorization: `Bearer ${key}` };

const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;

/** The place in line that a start's or a session's answer tells; null: it does not wait. */
function placeOf(body: Json): Place | null {
  if (body["status"] !== "queued") return null;
  return { position: number(body["position"]), waitS: number(body["estimatedWaitS"]) };
}

/** Asks what this page, or who shows `key`, may offer. Raises: ApiError, UnreachableError. */
export async function talkPage(key: string | null): Promise<TalkPage> {
  const body = await request("/api/talk", { method: "GET", headers: bearer(key) });
  const startTimeout = body["startTimeout"];
  return {
    key: key ?? text(body["key"]),
    agents: agents(body["agents"]),
    startTimeout: typeof startTimeout === "number" && startTimeout > 0 ? startTimeout : 30,
    url: text(body["url"]),
  };
}

const EVERY_STATUS: Record<SessionStatus, true> = {
  created: true,
  queued: true,
  dispatching: true,
  active: true,
  ending: true,
  ended: true,
  failed: true,
};
const STATUSES: ReadonlySet<string> = new Set(Object.keys(EVERY_STATUS));

/** The calls of one session. Every method raises ApiError or UnreachableError. */
export class SessionApi {
  #sessionKey: string | null = null;

  constructor(
    private readonly key: string | null,
    readonly sessionId: string,
    readonly userId: string,
  ) {}

  async token(signal: AbortSignal): Promise<Grant> {
    const { sessionId, userId } = this;
    const wish = { sessionId, userId, ...this.#proof() };
    const body = await this.#post("/api/token", wish, signal);
    this.#keep(body);
    return { token: required(body, "token"), url: required(body, "url") };
  }

  /** `withToken`: one answer for both calls, which spares a round trip. */
  async start(choice: Choice, withToken: boolean): Promise<StartAnswer> {
    const config: Json = {};
    if (choice.agent !== null) config["agent"] = choice.agent;
    if (choice.voice !== null) config["voice"] = choice.voice;
    const { sessionId, userId } = this;
    const body: Json = { sessionId, userId, ...this.#proof() };
    if (withToken) body["withToken"] = true;
    if (Object.keys(config).length > 0) body["config"] = config;
    const answer = await this.#post("/api/session/start", body);
    this.#keep(answer);
    const [token, url] = [text(answer["token"]), text(answer["url"])];
    return { place: placeOf(answer), grant: token === null || url === null ? null : { token, url } };
  }

  async end(reason: string): Promise<void> {
    await this.#post("/api/session/end", this.#ending(reason));
  }

  /** Ends the session from a page that is going away: nobody reads the answer. */
  endAtUnload(reason: string): void {
    void fetch("/api/session/end", {
      method: "POST",
      keepalive: true,
      headers: this.#headers({ "Content-Type": "application/json" }),
      body: JSON.stringify(this.#ending(reason)),
    }).catch(() => undefined);
  }

  async status(signal?: AbortSignal): Promise<SessionAnswer> {
    const body = await request(this.#path, { method: "GET", headers: this.#shown({}) }, signal);
    const status = required(body, "status");
    if (!STATUSES.has(status)) throw new UnreachableError(`unknown status ${status}`);
    return {
      status: status as SessionStatus,
      reason: text(body["reason"]),
      detail: text(body["detail"])?.slice(0, MAX_DETAIL_CHARS) ?? null,
      place: placeOf(body),
    };
  }

  /**
   * What happens in the session, from its first event or from after `last`, until the stream ends;
   * returns at once where nothing comes any more.
   */
  async *events(last: string | null, signal: AbortSignal): AsyncGenerator<SessionEvent> {
    const headers = this.#shown(last === null ? {} : { "Last-Event-ID": last });
    const response = await fetch(`${this.#path}/events`, { headers, signal, cache: "no-store" });
    if (!response.ok) throw await problem(response);
    if (response.body !== null) yield* eventsOf(response.body);
  }

  get #path(): string {
    return `/api/sessions/${encodeURIComponent(this.sessionId)}`;
  }

  /** The headers of a request that has no body to show the session's key in. */
  #shown(extra: Record<string, string>): Record<string, string> {
    return this.#headers(
      this.#sessionKey === null ? extra : { ...extra, "X-Session-Key": this.#sessionKey },
    );
  }

  /** Whichever call makes the session answers with its key. */
  #keep(body: Json): void {
    this.#sessionKey = text(body["sessionKey"]) ?? this.#sessionKey;
  }

  #proof(): Json {
    return this.#sessionKey === null ? {} : { sessionKey: this.#sessionKey };
  }

  #ending(reason: string): Json {
    return { sessionId: this.sessionId, reason, ...this.#proof() };
  }

  #headers(extra: Record<string, string>): Record<string, string> {
    return { ...extra, ...bearer(this.key) };
  }

  #post(path: string, body: Json, signal?: AbortSignal): Promise<Json> {
    const headers = this.#headers({ "Content-Type": "application/json" });
    return request(path, { method: "POST", headers, body: JSON.stringify(body) }, signal);
  }
}
