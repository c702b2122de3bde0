/** The service's HTTP interface, with the operator's key. Durations are seconds. */

const REQUEST_TIMEOUT_S = 15;
/** A problem document is a few hundred bytes; its text is shown, so it is cut here. */
const MAX_DETAIL_CHARS = 400;

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

  /** Whether the key is what was refused. */
  get aboutKey(): boolean {
    return this.status === 401 || (this.status === 403 && this.code === "forbidden");
  }
}

/** No usable answer came: no network, no server, or none in time. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

export type Query = Readonly<Record<string, string | number | readonly string[] | null | undefined>>;

/** `/path?a=b`, without what is null or undefined. */
export function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) params.append(name, String(each));
  }
  const text = params.toString();
  return text === "" ? path : `${path}?${text}`;
}

const word = (value: unknown): string | null =>
  typeof value === "string" && value !== "" ? value : null;

async function problem(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    const read: unknown = await response.json();
    if (typeof read === "object" && read !== null) body = read as Record<string, unknown>;
  } catch {
    // A proxy in between may answer with anything; the status alone still says enough.
  }
  const seconds = Number(response.headers.get("Retry-After") ?? "");
  return new ApiError(
    response.status,
    word(body["code"]),
    word(body["detail"])?.slice(0, MAX_DETAIL_CHARS) ?? null,
    Number.isFinite(seconds) && seconds > 0 ? seconds : null,
  );
}

/** Every method raises ApiError or UnreachableError. */
export class Client {
  constructor(
    /** A secret key; null where the service asks for none. */
    readonly key: string | null,
    /** Called when the service no longer takes the key. */
    private readonly onRefused: () => void = () => undefined,
  ) {}

  async get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
    return this.#json<T>(await this.#fetch(address(path, query), {}, signal));
  }

  async post<T>(path: string, body?: unknown): Promise<T> {
    const init: RequestInit =
      body === undefined
        ? { method: "POST" }
        : {
            method: "POST",
            body: JSON.stringify(body),
            headers: { "Content-Type": "application/json" },
          };
    return this.#json<T>(await this.#fetch(path, init));
  }

  async erase(path: string): Promise<void> {
    await this.#fetch(path, { method: "DELETE" });
  }

  async blob(path: string, signal?: AbortSignal): Promise<Blob> {
    const response = await this.#fetch(path, {}, signal, null);
    try {
      return await response.blob();
    } catch (error) {
      throw new UnreachableError("the answer broke off", { cause: error });
    }
  }

  /** An open event stream; its body is for the caller to read. Status 204: there is no more. */
  async stream(path: string, lastEventId: string | null, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (lastEventId !== null) headers["Last-Event-ID"] = lastEventId;
    return this.#fetch(path, { headers }, signal, null);
  }

  async #fetch(
    path: string,
    init: RequestInit,
    signal?: AbortSignal,
    timeoutS: number | null = REQUEST_TIMEOUT_S,
  ): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key !== null) headers.set("Authorization", `Bearer ${this.key}`);
    const signals = signal === undefined ? [] : [signal];
    if (timeoutS !== null) signals.push(AbortSignal.timeout(timeoutS * 1000));
    let response: Response;
    try {
      response = await fetch(path, {
        ...init,
        headers,
        cache: "no-store",
        credentials: "same-origin",
        signal: AbortSignal.any(signals),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new UnreachableError("no answer", { cause: error });
    }
    if (response.ok) return response;
    const refused = await problem(response);
    if (refused.aboutKey) this.onRefused();
    throw refused;
  }

  async #json<T>(response: Response): Promise<T> {
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw new UnreachableError("the answer is not JSON", { cause: error });
    }
  }
}
